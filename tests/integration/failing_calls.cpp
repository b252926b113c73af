// A library for LD_PRELOAD that has calls of a program fail: the test says which, and when, in a file that both map, so
// that it can also change its mind while the program runs. tests/integration/failing_calls.py is its other half.
//
// The file holds four numbers of 64 bits for each kind: how many calls there were, the first and the one after the last
// that fail (the first call has number 1), and how many have failed.
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

extern "C" {
// glibc's own, under the names that nobody replaces.
auto __libc_malloc(std::size_t size) -> void*;
auto __libc_calloc(std::size_t count, std::size_t size) -> void*;
auto __libc_realloc(void* memory, std::size_t size) -> void*;
auto __libc_memalign(std::size_t alignment, std::size_t size) -> void*;
}

namespace {

enum Kind : int { memory, thread, descriptor, writing, kinds };

struct Counters {
  std::uint64_t calls;
  std::uint64_t from;
  std::uint64_t until;
  std::uint64_t failed;
};

Counters nobody_counts[kinds];
Counters* counters = nullptr;

// Without a call that could come back to us: the first to ask may be malloc(3), before any constructor has run.
auto table() -> Counters* {
  Counters* known = __atomic_load_n(&counters, __ATOMIC_ACQUIRE);
  if (known != nullptr) return known;
  if (environ == nullptr) return nobody_counts;
  known = nobody_counts;
  if (const char* path = std::getenv("FAILING_CALLS"); path != nullptr) {
    const long fd = ::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd >= 0) {
      void* map = ::mmap(nullptr, sizeof nobody_counts, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
      if (map != MAP_FAILED) known = static_cast<Counters*>(map);
      ::syscall(SYS_close, fd);
    }
  }
  __atomic_store_n(&counters, known, __ATOMIC_RELEASE);
  return known;
}

// While glibc reads its rules for names, which it does not survive without memory (src/net/resolver.cpp).
thread_local bool reads_rules = false;

auto fails(Kind kind) -> bool {
  if (reads_rules) return false;
  Counters& of = table()[kind];
  const std::uint64_t number = __atomic_add_fetch(&of.calls, 1, __ATOMIC_RELAXED);
  if (number < __atomic_load_n(&of.from, __ATOMIC_RELAXED) || number >= __atomic_load_n(&of.until, __ATOMIC_RELAXED)) {
    return false;
  }
  __atomic_add_fetch(&of.failed, 1, __ATOMIC_RELAXED);
  return true;
}

auto fails(Kind kind, int error) -> bool {
  if (!fails(kind)) return false;
  errno = error;
  return true;
}

template <class Function>
auto next(const char* name) -> Function {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}
#define NEXT(name) static const auto real = next<decltype(&(name))>(#name)

// What can fail so: a file of a full disk, a socket, a pipe or a terminal whose other end has trouble. What wakes a
// thread (eventfd) cannot, and on descriptor 2 the test reads what the program says.
auto write_fails(int fd) -> bool {
  struct stat status {};
  if (fd == STDERR_FILENO || ::fstat(fd, &status) != 0) return false;
  if (S_ISREG(status.st_mode)) return fails(writing, ENOSPC);
  if (S_ISSOCK(status.st_mode)) return fails(writing, ENOBUFS);
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) return fails(writing, EIO);
  return false;
}

}  // namespace

extern "C" {

// --- memory ---

auto malloc(std::size_t size) noexcept -> void* { return fails(memory, ENOMEM) ? nullptr : __libc_malloc(size); }
auto calloc(std::size_t count, std::size_t size) noexcept -> void* {
  return fails(memory, ENOMEM) ? nullptr : __libc_calloc(count, size);
}
auto realloc(void* old, std::size_t size) noexcept -> void* {
  return fails(memory, ENOMEM) ? nullptr : __libc_realloc(old, size);
}
auto aligned_alloc(std::size_t alignment, std::size_t size) noexcept -> void* {
  return fails(memory, ENOMEM) ? nullptr : __libc_memalign(alignment, size);
}
auto posix_memalign(void** where, std::size_t alignment, std::size_t size) noexcept -> int {
  if (fails(memory)) return ENOMEM;
  *where = __libc_memalign(alignment, size);
  return *where == nullptr ? ENOMEM : 0;
}

void sethostent(int stays_open) {
  NEXT(sethostent);
  reads_rules = true;
  real(stays_open);
}
void endhostent() {
  NEXT(endhostent);
  real();
  reads_rules = false;
}

// --- threads ---

auto pthread_create(pthread_t* id, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) noexcept
    -> int {
  NEXT(pthread_create);
  return fails(thread) ? EAGAIN : real(id, attributes, run, argument);
}

// --- descriptors ---

static auto mode_of(int flags, va_list words) -> mode_t {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(words, mode_t) : 0;
}
auto open(const char* path, int flags, ...) -> int {
  va_list words;
  va_start(words, flags);
  const mode_t mode = mode_of(flags, words);
  va_end(words);
  NEXT(open);
  return fails(descriptor, EMFILE) ? -1 : real(path, flags, mode);
}
auto open64(const char* path, int flags, ...) -> int {
  va_list words;
  va_start(words, flags);
  const mode_t mode = mode_of(flags, words);
  va_end(words);
  NEXT(open64);
  return fails(descriptor, EMFILE) ? -1 : real(path, flags, mode);
}
auto openat(int folder, const char* path, int flags, ...) -> int {
  va_list words;
  va_start(words, flags);
  const mode_t mode = mode_of(flags, words);
  va_end(words);
  NEXT(openat);
  return fails(descriptor, EMFILE) ? -1 : real(folder, path, flags, mode);
}
auto socket(int family, int type, int protocol) noexcept -> int {
  NEXT(socket);
  return fails(descriptor, EMFILE) ? -1 : real(family, type, protocol);
}
auto accept4(int fd, sockaddr* address, socklen_t* length, int flags) -> int {
  NEXT(accept4);
  return fails(descriptor, EMFILE) ? -1 : real(fd, address, length, flags);
}
auto epoll_create1(int flags) noexcept -> int {
  NEXT(epoll_create1);
  return fails(descriptor, EMFILE) ? -1 : real(flags);
}
auto epoll_ctl(int epoll, int what, int fd, epoll_event* event) noexcept -> int {
  NEXT(epoll_ctl);
  return what == EPOLL_CTL_ADD && fails(descriptor, ENOSPC) ? -1 : real(epoll, what, fd, event);
}
auto eventfd(unsigned first, int flags) noexcept -> int {
  NEXT(eventfd);
  return fails(descriptor, EMFILE) ? -1 : real(first, flags);
}
auto timerfd_create(clockid_t clock, int flags) noexcept -> int {
  NEXT(timerfd_create);
  return fails(descriptor, EMFILE) ? -1 : real(clock, flags);
}
auto signalfd(int fd, const sigset_t* mask, int flags) noexcept -> int {
  NEXT(signalfd);
  return fails(descriptor, EMFILE) ? -1 : real(fd, mask, flags);
}
auto pipe2(int* ends, int flags) noexcept -> int {
  NEXT(pipe2);
  return fails(descriptor, EMFILE) ? -1 : real(ends, flags);
}
auto dup(int fd) noexcept -> int {
  NEXT(dup);
  return fails(descriptor, EMFILE) ? -1 : real(fd);
}
auto fcntl(int fd, int command, ...) -> int {
  va_list words;
  va_start(words, command);
  void* const argument = va_arg(words, void*);
  va_end(words);
  NEXT(fcntl);
  const bool makes_one = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
  return makes_one && fails(descriptor, EMFILE) ? -1 : real(fd, command, argument);
}

// --- writes ---

auto write(int fd, const void* bytes, std::size_t size) -> ssize_t {
  NEXT(write);
  return write_fails(fd) ? -1 : real(fd, bytes, size);
}
auto writev(int fd, const iovec* parts, int count) -> ssize_t {
  NEXT(writev);
  return write_fails(fd) ? -1 : real(fd, parts, count);
}
auto send(int fd, const void* bytes, std::size_t size, int flags) -> ssize_t {
  NEXT(send);
  return write_fails(fd) ? -1 : real(fd, bytes, size, flags);
}
auto sendmsg(int fd, const msghdr* message, int flags) -> ssize_t {
  NEXT(sendmsg);
  return write_fails(fd) ? -1 : real(fd, message, flags);
}
auto splice(int from, off64_t* from_offset, int to, off64_t* to_offset, std::size_t size, unsigned flags) -> ssize_t {
  NEXT(splice);
  return write_fails(to) ? -1 : real(from, from_offset, to, to_offset, size, flags);
}
}
