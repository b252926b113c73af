// Drives toxiproxy-node-client, as published, through everything it has; prints "ok" at the end.
// Usage: node toxiproxy_node.js API_URL UPSTREAM_PORT, with NODE_PATH at the package.
"use strict";
const assert = require("assert");
const net = require("net");
const { Toxiproxy } = require("toxiproxy-node-client");

const [url, upstreamPort] = process.argv.slice(2);

function exchange(listen, text) {
  return new Promise((resolve, reject) => {
    const port = Number(listen.split(":").pop());
    const began = Date.now();
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    socket.once("data", (data) => { socket.destroy(); resolve({ text: data.toString(), took: Date.now() - began }); });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
}

const toxicOf = (name, type, attributes, stream = "downstream", toxicity = 1) => ({ name, type, attributes, stream, toxicity });

async function main() {
  const client = new Toxiproxy(url);
  assert.ok((await client.getVersion()).includes("2.12.0"));
  const upstream = `localhost:${upstreamPort}`;
  const proxy = await client.createProxy({ name: "echo", listen: "localhost:0", upstream });
  assert.ok(/^127\.0\.0\.1:\d+$/.test(proxy.listen), proxy.listen);
  assert.strictEqual((await exchange(proxy.listen, "hello")).text, "hello");

  let toxic = await proxy.addToxic(toxicOf("late", "latency", { latency: 300, jitter: 0 }));
  assert.ok((await exchange(proxy.listen, "late")).took >= 300);
  toxic = await toxic.update(toxicOf("late", "latency", { latency: 1, jitter: 0 }));
  assert.strictEqual(toxic.attributes.latency, 1);
  assert.strictEqual((await proxy.getToxic("late")).attributes.latency, 1);
  await toxic.remove();
  await assert.rejects(proxy.getToxic("late"));

  await proxy.addToxic(toxicOf("slices", "slicer", { average_size: 64, size_variation: 64, delay: 0 }));
  assert.strictEqual((await exchange(proxy.listen, "sliced")).text, "sliced");
  await proxy.addToxic(toxicOf("cut", "limit_data", { bytes: 0 }, "upstream"));
  await assert.rejects(exchange(proxy.listen, "nothing"));
  await client.reset();
  await assert.rejects((await client.get("echo")).getToxic("cut"));

  const settings = { enabled: false, listen: proxy.listen, upstream };
  assert.strictEqual((await proxy.update(settings)).enabled, false);
  await assert.rejects(exchange(proxy.listen, "closed"));
  await proxy.update({ ...settings, enabled: true });
  assert.strictEqual((await exchange(proxy.listen, "again")).text, "again");

  await client.populate([{ name: "two", listen: "localhost:0", upstream }]);
  assert.deepStrictEqual(Object.keys(await client.getAll()), ["echo", "two"]);
  await (await client.get("two")).remove();
  await assert.rejects(client.get("two"));
  await assert.rejects(client.createProxy({ name: "echo", listen: "localhost:0", upstream: "x:1" }));
  await proxy.remove();
  console.log("ok");
}

main().catch((error) => { console.error(error); process.exit(1); });
