#include "record/capture_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/fd.h"

namespace weir::record {
namespace {

constexpr std::size_t pipe_buffer = 65'536;  // bytes
constexpr std::int64_t latest = 0xffffffff;  // seconds: what a pcap file can say

auto time_of(const pcap_pkthdr& header) -> MonoTime {
  const std::int64_t seconds = std::clamp<std::int64_t>(header.ts.tv_sec, 0, latest);
  const std::int64_t nanos = std::clamp<std::int64_t>(header.ts.tv_usec, 0, 999'999'999);
  return MonoTime{std::chrono::seconds{seconds} + Nanos{nanos}};
}

// What stdio reads of where bytes are waited for.
struct Pipe {
  Fd fd;
  WaitToRead wait;
};

auto read_pipe(void* cookie, char* buffer, std::size_t size) -> ssize_t {
  const auto& pipe = *static_cast<Pipe*>(cookie);
  if (!pipe.wait(pipe.fd.get())) return 0;
  ssize_t got = -1;
  do {
    got = ::read(pipe.fd.get(), buffer, size);
  } while (got < 0 && errno == EINTR);
  return got;
}

auto close_pipe(void* cookie) -> int {
  delete static_cast<Pipe*>(cookie);
  return 0;
}

auto stream_of(Fd fd, bool is_file, const WaitToRead& wait) -> std::FILE* {
  if (is_file || !wait) {
    std::FILE* stream = ::fdopen(fd.get(), "rb");
    if (stream != nullptr) (void)fd.release();
    return stream;
  }
  auto pipe = std::make_unique<Pipe>(Pipe{std::move(fd), wait});
  std::FILE* stream =
      ::fopencookie(pipe.get(), "rb", {.read = read_pipe, .write = nullptr, .seek = nullptr, .close = close_pipe});
  if (stream == nullptr) return nullptr;
  (void)pipe.release();
  (void)std::setvbuf(stream, nullptr, _IOFBF, pipe_buffer);
  return stream;
}

// The file as stdio's, at its begin; an error says why not.
auto open_stream(const std::string& name, const WaitToRead& wait) -> Result<std::FILE*> {
  Fd fd(name == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : ::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failure(fmt::format("{}: {}", name, errno_text(errno)), errno);
  struct stat status {};
  const bool is_known = ::fstat(fd.get(), &status) == 0;
  if (is_known && S_ISDIR(status.st_mode)) {
    return failure(fmt::format("{}: it is a directory: name the captures in it", name), EISDIR);
  }
  std::FILE* stream = stream_of(std::move(fd), is_known && S_ISREG(status.st_mode), wait);
  if (stream == nullptr) return failure(fmt::format("{}: {}", name, errno_text(errno)), errno);
  const int first = std::getc(stream);
  if (first == EOF) {
    const bool failed = std::ferror(stream) != 0;
    const int code = errno;
    std::fclose(stream);
    return failure(fmt::format("{}: {}", name, failed ? errno_text(code) : "it is empty"), failed ? code : 0);
  }
  std::ungetc(first, stream);
  return stream;
}

// What libpcap found wrong at the begin of a file, in words that lead on.
auto no_capture(const std::string& name, int first, const std::string& said) -> std::string {
  if (first == 0x1f || first == 0x28 || first == 0xfd || first == 'B') {
    return fmt::format("{}: no capture that can be read ({}); if it is compressed, unpack it: zcat FILE | weir why -",
                       name, said);
  }
  if (said.find("unknown file format") != std::string::npos) {
    return fmt::format("{}: it is no capture: neither pcap nor pcapng begins so", name);
  }
  return fmt::format("{}: no capture that can be read: {}", name, said);
}

}  // namespace

struct CaptureFile::Handle {
  pcap_t* pcap = nullptr;
  explicit Handle(pcap_t* from) : pcap(from) {}
  Handle(const Handle&) = delete;
  auto operator=(const Handle&) -> Handle& = delete;
  ~Handle() { pcap_close(pcap); }
};

CaptureFile::CaptureFile(std::string name, std::unique_ptr<Handle> handle, Link link)
    : name_(std::move(name)), handle_(std::move(handle)), link_(link) {}
CaptureFile::CaptureFile(CaptureFile&& other) noexcept = default;
auto CaptureFile::operator=(CaptureFile&& other) noexcept -> CaptureFile& = default;
CaptureFile::~CaptureFile() = default;

auto CaptureFile::open(const std::string& name, const WaitToRead& wait) -> Result<CaptureFile> {
  const auto stream = open_stream(name, wait);
  if (!stream) return tl::make_unexpected(stream.error());
  const int first = std::getc(*stream);
  std::ungetc(first, *stream);
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  pcap_t* pcap = pcap_fopen_offline_with_tstamp_precision(*stream, PCAP_TSTAMP_PRECISION_NANO, error.data());
  if (pcap == nullptr) {
    std::fclose(*stream);
    return failure(no_capture(name, first, error.data()));
  }
  auto handle = std::make_unique<Handle>(pcap);
  const int dlt = pcap_datalink(pcap);
  const auto link = link_of(dlt);
  if (!link) {
    const char* known = pcap_datalink_val_to_name(dlt);
    return failure(
        fmt::format("{}: packets of the link type {} are not understood; Ethernet, Linux cooked (SLL, SLL2), "
                    "loopback, PPP and raw IP are",
                    name, known != nullptr ? std::string(known) : std::to_string(dlt)));
  }
  return CaptureFile(name, std::move(handle), *link);
}

auto CaptureFile::next() -> std::optional<CapturedPacket> {
  if (handle_ == nullptr) return std::nullopt;
  pcap_pkthdr* header = nullptr;
  const unsigned char* bytes = nullptr;
  const int got = pcap_next_ex(handle_->pcap, &header, &bytes);
  if (got == 1) {
    ++packets_;
    return CapturedPacket{.time = time_of(*header),
                          .bytes = {reinterpret_cast<const std::byte*>(bytes), header->caplen},
                          .wire_length = std::max(header->len, header->caplen)};
  }
  if (got == PCAP_ERROR) {
    const long at = std::ftell(pcap_file(handle_->pcap));  // -1: a pipe
    damage_ = fmt::format("it is damaged or cut off behind packet {}{}: {}", packets_,
                          at >= 0 ? fmt::format(", at byte {}", at) : "", pcap_geterr(handle_->pcap));
  }
  handle_.reset();
  return std::nullopt;
}

auto CaptureFiles::open(const std::vector<std::string>& names, const WaitToRead& wait) -> Result<CaptureFiles> {
  std::vector<CaptureFile> files;
  for (const std::string& name : names) {
    auto file = CaptureFile::open(name, wait);
    if (!file) return tl::make_unexpected(file.error());
    files.push_back(*std::move(file));
  }
  return CaptureFiles(std::move(files));
}

CaptureFiles::CaptureFiles(std::vector<CaptureFile> files) {
  std::vector<std::pair<CaptureFile, std::optional<CapturedPacket>>> begun;
  for (CaptureFile& file : files) {
    auto first = file.next();
    begun.emplace_back(std::move(file), first);
  }
  // So that of two packets at one time that of the earlier file comes first.
  std::ranges::stable_sort(
      begun, [](const auto& a, const auto& b) { return a.second && (!b.second || a.second->time < b.second->time); });
  for (auto& [file, first] : begun) {
    files_.push_back(std::move(file));
    first_.push_back(first);
  }
  for (std::size_t i = 0; i < files_.size(); ++i) queue(i);
}

void CaptureFiles::queue(std::size_t file) {
  if (!first_[file]) return;
  queue_.push_back(file);
  std::ranges::push_heap(queue_, [this](std::size_t a, std::size_t b) {
    return std::pair(first_[a]->time, a) > std::pair(first_[b]->time, b);
  });
}

auto CaptureFiles::next() -> std::optional<Next> {
  if (last_) {
    first_[*last_] = files_[*last_].next();
    queue(*std::exchange(last_, std::nullopt));
  }
  if (queue_.empty()) return std::nullopt;
  std::ranges::pop_heap(queue_, [this](std::size_t a, std::size_t b) {
    return std::pair(first_[a]->time, a) > std::pair(first_[b]->time, b);
  });
  last_ = queue_.back();
  queue_.pop_back();
  return Next{*first_[*last_], files_[*last_].link()};
}

}  // namespace weir::record
