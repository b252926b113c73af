#include "cni/spec/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "cni/spec/waits.h"

namespace weir::cni {
namespace {

constexpr std::size_t most_output = 16U << 20U;
constexpr int most_execs = 6;
constexpr std::int64_t last_words_ms = 1000;

struct Pipe {
  Fd read;
  Fd write;
};

auto make_pipe() -> Result<Pipe> {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail("pipe: " + errno_words(errno));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

auto pointers(const std::vector<std::string>& words) -> std::vector<char*> {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (const auto& word : words) {
    out.push_back(const_cast<char*>(word.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): exec's signature
  }
  out.push_back(nullptr);
  return out;
}

// vfork instead of posix_spawn, for PR_SET_PDEATHSIG: a child must not outlive a plugin that was killed, or
// its rules would appear after the DEL that was to remove them. The child touches nothing but what is here.
struct Program {
  const char* path;
  char* const* argv;
  char* const* envp;
  int in;
  int out;
  int err;
  int inherited;
};
[[gnu::noinline]] auto spawn(const Program& program, volatile int& error) -> pid_t {
  const pid_t parent = ::getpid();
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)::setpgid(0, 0);                // so that all of it can be killed
  (void)std::signal(SIGPIPE, SIG_DFL);  // we ignore it, and an ignored signal would stay ignored
  if (::getppid() == parent && ::dup2(program.in, 0) >= 0 && ::dup2(program.out, 1) >= 0 &&
      ::dup2(program.err, 2) >= 0) {
    // The descriptors of a vfork child are its own; only its memory is ours.
    if (program.inherited >= 0) (void)::fcntl(program.inherited, F_SETFD, 0);
    ::execve(program.path, program.argv, program.envp);
  }
  error = errno;
  ::_exit(127);
}

// Reads what is there; false at the end of the stream.
auto drain(const Fd& fd, std::string& into) -> bool {
  std::array<char, 4096> buffer{};
  const auto n = ::read(fd.get(), buffer.data(), buffer.size());
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (into.size() < most_output) into.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0;
}

// Writes what fits; false when nothing is left or the child does not want it.
auto feed(const Fd& fd, std::string_view& rest) -> bool {
  const auto n = ::write(fd.get(), rest.data(), rest.size());
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  rest.remove_prefix(static_cast<std::size_t>(n));
  return !rest.empty();
}

}  // namespace

auto Child::Outcome::words() const -> std::string {
  if (timed_out)
    return text({"it had not ended after ", std::to_string(seconds), " s and was killed: try again later"});
  if (WIFSIGNALED(status)) {
    const char* name = ::sigdescr_np(WTERMSIG(status));
    std::string lower = name == nullptr ? std::to_string(WTERMSIG(status)) : name;
    if (!lower.empty() && lower[0] >= 'A' && lower[0] <= 'Z') lower[0] = static_cast<char>(lower[0] - 'A' + 'a');
    return "signal: " + lower;
  }
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

auto Child::start(const std::string& path, const std::vector<std::string>& words, std::string input, int seconds,
                  const std::vector<std::string>& environment, int inherited) -> Result<Child> {
  auto in = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  for (const auto* pipe : {&in, &out, &err}) {
    if (!*pipe) return Failure(pipe->error());
  }
  auto argv = pointers(words);
  auto envp = pointers(environment);
  const Program program{.path = path.c_str(),
                        .argv = argv.data(),
                        .envp = environment.empty() ? environ : envp.data(),
                        .in = in->read.get(),
                        .out = out->write.get(),
                        .err = err->write.get(),
                        .inherited = inherited};
  Child child;
  volatile int error = ETXTBSY;
  for (int tries = 0; tries < most_execs && error == ETXTBSY; ++tries) {
    if (tries > 0) ::sleep(1);
    error = 0;
    child.pid_ = spawn(program, error);
    if (child.pid_ < 0) return fail(text({"fork/exec ", path, ": ", errno_words(errno)}));
    if (error != 0) (void)::waitpid(std::exchange(child.pid_, -1), nullptr, 0);
  }
  if (error != 0) return fail(text({"fork/exec ", path, ": ", errno_words(error)}));
  child.seconds_ = seconds;
  child.deadline_ms_ = clock_ms() + std::int64_t{seconds} * 1000;
  child.alive_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
  child.input_ = std::move(input);
  child.in_ = std::move(in->write);
  child.out_ = std::move(out->read);
  child.err_ = std::move(err->read);
  ::fcntl(child.in_.get(), F_SETFL, O_NONBLOCK);
  // Most input fits into the pipe: written now, the child works while we do other things.
  std::string_view rest = child.input_;
  if (rest.empty() || !feed(child.in_, rest)) child.in_.reset();
  child.input_.erase(0, child.input_.size() - rest.size());
  return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      seconds_(other.seconds_),
      deadline_ms_(other.deadline_ms_),
      alive_(std::move(other.alive_)),
      input_(std::move(other.input_)),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

Child::~Child() {
  if (pid_ > 0) (void)finish();
}

// Until both of its streams are at their end, it has ended, or its time is up.
auto Child::exchange(Outcome& outcome) -> void {
  std::string_view rest = input_;
  auto until = deadline_ms_;
  bool has_gone = false;
  while (out_ || err_ || in_) {
    const auto left = until - clock_ms();
    if (left <= 0) return;
    std::array<pollfd, 4> watched{pollfd{in_.get(), POLLOUT, 0}, pollfd{out_.get(), POLLIN, 0},
                                  pollfd{err_.get(), POLLIN, 0}, pollfd{has_gone ? -1 : alive_.get(), POLLIN, 0}};
    if (::poll(watched.data(), watched.size(), static_cast<int>(left)) < 0 && errno != EINTR) return;
    if (in_ && watched[0].revents != 0 && !feed(in_, rest)) in_.reset();
    if (out_ && watched[1].revents != 0 && !drain(out_, outcome.out)) out_.reset();
    if (err_ && watched[2].revents != 0 && !drain(err_, outcome.err)) err_.reset();
    // A child that ended without reading all of it will never do so.
    if (in_ && !out_ && !err_) in_.reset();
    // Whatever it left running may keep its streams open for ever. What it wrote itself is in the pipes.
    if (watched[3].revents != 0) {
      has_gone = true;
      until = std::min(until, clock_ms() + last_words_ms);
    }
  }
}

auto Child::has_ended(int& status) const -> bool { return ::waitpid(pid_, &status, WNOHANG) == pid_; }

auto Child::kill(int& status) -> void {
  (void)::kill(-pid_, SIGKILL);
  (void)::kill(pid_, SIGKILL);
  // Its last system call may take a while, and in the end is not ours to wait for.
  for (const auto end = clock_ms() + last_words_ms; !has_ended(status) && clock_ms() < end;) {
    pollfd watched{alive_.get(), POLLIN, 0};
    (void)::poll(&watched, 1, 10);
  }
}

auto Child::finish() -> Outcome {
  Outcome outcome;
  exchange(outcome);
  while (!has_ended(outcome.status)) {
    const auto left = deadline_ms_ - clock_ms();
    if (left <= 0) {
      outcome.timed_out = true;
      outcome.seconds = seconds_;
      kill(outcome.status);
      break;
    }
    pollfd watched{alive_.get(), POLLIN, 0};
    (void)::poll(&watched, 1, static_cast<int>(alive_ ? left : std::min<std::int64_t>(left, 10)));
  }
  pid_ = -1;
  return outcome;
}

}  // namespace weir::cni
