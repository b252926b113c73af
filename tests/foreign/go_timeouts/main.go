// Shows timeouts of Go's net/http running out because of faults in Weir, between a client and a server that
// are plain net/http. For each clock: without a fault nothing runs out; with the fault that docs/timeouts.md
// names for it, exactly this clock does, not before its time.
//
// Usage: go_timeouts API_URL, such as http://127.0.0.1:8474. Prints a line for each clock and exits 1 if one
// did not behave. Written for Go 1.19 (Debian 12) and later; the standard library alone.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"
)

const clock = 300 * time.Millisecond // what each timeout under test is set to
const slack = 20 * time.Second       // a busy machine is late, never early:
const early = 5 * time.Millisecond   // but a clock may begin a moment before we look at ours
const large = 64 << 20               // more than the buffers on the way hold

type fault map[string]interface{}

// The way from a client to a server, with or without a fault on it.
type path struct {
	server *httptest.Server
	listen string // where Weir listens
	name   string
	api    string
}

func newPath(api, name string, server *httptest.Server, with fault) *path {
	faults := []fault{}
	if with != nil {
		faults = append(faults, with)
	}
	body, _ := json.Marshal(map[string]interface{}{
		"name": name, "listen": "127.0.0.1:0", "upstream": server.Listener.Addr().String(), "faults": faults})
	answer, err := http.Post(api+"/api/v1/proxies", "application/json", bytes.NewReader(body))
	must(err)
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != 201 {
		log.Fatalf("%s: %s", name, text)
	}
	var made struct{ Listen string }
	must(json.Unmarshal(text, &made))
	return &path{server: server, listen: made.Listen, name: name, api: api}
}

func (p *path) close() {
	request, _ := http.NewRequest("DELETE", p.api+"/api/v1/proxies/"+p.name, nil)
	answer, err := http.DefaultClient.Do(request)
	must(err)
	answer.Body.Close()
	p.server.CloseClientConnections()
	p.server.Close()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// What came of one run: how long the clock ran until something happened, and what it was. Empty: nothing did.
type outcome struct {
	took  time.Duration
	fired string
}

type subject struct {
	name    string
	fault   fault
	observe func(api, name string, with fault) outcome
	want    string // part of what it says when it runs out
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// A server with `set` applied, whose handler's errors come out of the channel (nil: none).
func newServer(set func(*http.Server), handle func(http.ResponseWriter, *http.Request) error) (*httptest.Server, chan outcome) {
	happened := make(chan outcome, 16)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		err := handle(w, r)
		if isTimeout(err) {
			happened <- outcome{time.Since(began), err.Error()}
		} else {
			happened <- outcome{time.Since(began), ""}
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	set(server.Config)
	return server, happened
}

func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

func readHeader(api, name string, with fault) outcome {
	began := make(chan time.Time, 1)
	ended := make(chan time.Duration, 1)
	server, _ := newServer(func(s *http.Server) {
		s.ReadHeaderTimeout = clock
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				began <- time.Now()
			case http.StateClosed:
				ended <- time.Since(<-began)
			}
		}
	}, func(http.ResponseWriter, *http.Request) error { return nil })
	server.Start()
	way := newPath(api, name, server, with)
	defer way.close()
	answer, err := plainClient().Get("http://" + way.listen + "/")
	if err != nil { // Go 1.19 closes without a word
		return outcome{<-ended, "the server closed the connection: " + err.Error()}
	}
	answer.Body.Close()
	if answer.StatusCode >= 400 { // later versions take the half of a header for a bad request, at the same time
		return outcome{<-ended, "the server closed the connection: " + answer.Status}
	}
	return outcome{}
}

func readTotal(api, name string, with fault) outcome {
	server, happened := newServer(func(s *http.Server) {
		s.ReadHeaderTimeout = slack
		s.ReadTimeout = clock
	}, func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	})
	server.Start()
	way := newPath(api, name, server, with)
	defer way.close()
	answer, err := plainClient().Post("http://"+way.listen+"/", "text/plain", bytes.NewReader(make([]byte, 8192)))
	if err == nil {
		answer.Body.Close()
	}
	return <-happened
}

func write(api, name string, with fault) outcome {
	size := 1000
	if with != nil {
		size = large
	}
	server, happened := newServer(func(s *http.Server) { s.WriteTimeout = clock },
		func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write(make([]byte, size))
			return err
		})
	server.Start()
	way := newPath(api, name, server, with)
	defer way.close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		request, _ := http.NewRequestWithContext(ctx, "GET", "http://"+way.listen+"/", nil)
		if answer, err := plainClient().Do(request); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}()
	return <-happened
}

const wholeRequest = "GET / HTTP/1.1\r\nHost: weir\r\n\r\n"

func idle(api, name string, with fault) outcome {
	server, _ := newServer(func(s *http.Server) { s.IdleTimeout = clock },
		func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "hello")
			return err
		})
	server.Start()
	way := newPath(api, name, server, with)
	defer way.close()
	connection, err := net.Dial("tcp", way.listen)
	must(err)
	defer connection.Close()
	reader := bufio.NewReader(connection)
	exchange := func() error {
		_, err := io.WriteString(connection, wholeRequest)
		if err != nil {
			return err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	// The server's clock starts when its first answer is written, which is before we have read it.
	began := time.Now()
	must(exchange())
	must(connection.SetReadDeadline(time.Now().Add(slack)))
	if err := exchange(); err != nil {
		return outcome{time.Since(began), "the server closed the connection: " + err.Error()}
	}
	return outcome{}
}

// What a client says, with `set` applied to its transport.
func client(secure bool, set func(*http.Client, *http.Transport)) func(api, name string, with fault) outcome {
	return func(api, name string, with fault) outcome {
		server, _ := newServer(func(*http.Server) {}, func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write(make([]byte, 4096))
			return err
		})
		scheme := "http://"
		if secure {
			server.StartTLS()
			scheme = "https://"
		} else {
			server.Start()
		}
		way := newPath(api, name, server, with)
		defer way.close()
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		asking := &http.Client{Transport: transport}
		set(asking, transport)
		began := time.Now()
		answer, err := asking.Get(scheme + way.listen + "/")
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		if err == nil {
			return outcome{}
		}
		return outcome{time.Since(began), err.Error()}
	}
}

// The one whose end is no error: the body is sent without the server's word.
func expectContinue(api, name string, with fault) outcome {
	server, happened := newServer(func(*http.Server) {}, func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body) // its first read asks for the body: "100 Continue"
		return err
	})
	server.Start()
	way := newPath(api, name, server, with)
	defer way.close()
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: clock}
	request, _ := http.NewRequest("POST", "http://"+way.listen+"/", strings.NewReader("body"))
	request.Header.Set("Expect", "100-continue")
	answer, err := (&http.Client{Transport: transport}).Do(request)
	must(err)
	answer.Body.Close()
	waited := (<-happened).took
	// Without a fault the word comes at once; with it, after two seconds, and the body well before.
	if waited < clock-early {
		return outcome{}
	}
	return outcome{waited, "the body was sent without 100 Continue"}
}

var subjects = []subject{
	{"Server.ReadHeaderTimeout", fault{"type": "stall", "direction": "upstream", "after": "20B"}, readHeader, "the server closed"},
	{"Server.ReadTimeout", fault{"type": "stall", "direction": "upstream", "after": "1KB"}, readTotal, "i/o timeout"},
	{"Server.WriteTimeout", fault{"type": "stall", "direction": "downstream", "after": "1B"}, write, "i/o timeout"},
	{"Server.IdleTimeout", fault{"type": "stall", "direction": "upstream",
		"after": fmt.Sprintf("%dB", len(wholeRequest))}, idle, "the server closed"},
	{"Transport.TLSHandshakeTimeout", fault{"type": "accept_delay", "delay": "1h"},
		client(true, func(_ *http.Client, t *http.Transport) { t.TLSHandshakeTimeout = clock }), "TLS handshake timeout"},
	{"Transport.ResponseHeaderTimeout", fault{"type": "first_byte_delay", "delay": "1h"},
		client(false, func(_ *http.Client, t *http.Transport) { t.ResponseHeaderTimeout = clock }),
		"timeout awaiting response headers"},
	{"Transport.ExpectContinueTimeout", fault{"type": "first_byte_delay", "delay": "2s"}, expectContinue, "without 100 Continue"},
	{"Client.Timeout", fault{"type": "stall", "direction": "downstream", "after": "1KB"},
		client(false, func(c *http.Client, _ *http.Transport) { c.Timeout = clock }), "Client.Timeout"},
}

// Clocks that no fault on a connection can make run out, and why.
var pending = [][2]string{
	{"Dialer.Timeout", "the kernel accepts before Weir hears of the connection"},
	{"Transport.IdleConnTimeout", "it runs while the client itself wants nothing: no byte is waited for"},
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go_timeouts API_URL")
	}
	log.SetFlags(0)
	failed := false
	for i, each := range subjects {
		name := fmt.Sprintf("go-%d", i)
		without := each.observe(os.Args[1], name, nil)
		with := each.observe(os.Args[1], name+"-fault", each.fault)
		verdict := "ok"
		isEarly := with.took < clock-early
		if without.fired != "" || !strings.Contains(with.fired, each.want) || isEarly || with.took > clock+slack {
			verdict, failed = "FAILED", true
		}
		fmt.Printf("%s %s: without a fault %q; with %v %q after %v\n", verdict, each.name, without.fired, each.fault,
			with.fired, with.took.Round(time.Millisecond))
	}
	for _, each := range pending {
		fmt.Printf("pending %s: %s\n", each[0], each[1])
	}
	if failed {
		os.Exit(1)
	}
}
