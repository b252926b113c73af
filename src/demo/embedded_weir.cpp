#include "demo/embedded_weir.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "diagnose/diagnosis.h"
#include "diagnose/report.h"
#include "engine/engine.h"
#include "view/view.h"

namespace weir::demo {
namespace {

// The view prints into memory, as it would to a file.
class EmbeddedWeir final : public WeirUnderTest {
 public:
  explicit EmbeddedWeir(Fd memory) : memory_(std::move(memory)), output_(memory_.get()) {}

  auto start(std::uint16_t upstream_port, WeirView view) -> Result<void> {
    auto engine = engine::Engine::create({});
    if (!engine) return tl::make_unexpected(engine.error());
    engine_ = *std::move(engine);
    if (view == WeirView::text) {
      const view::ViewOptions options{};
      auto attached = engine_->attach({.observer = view::make_view(options, output_),
                                       .ring = view::ring_options(options, event::FullPolicy::block)});
      if (!attached) return tl::make_unexpected(attached.error());
    }
    if (view == WeirView::why) {
      if (auto judged = diagnose(); !judged) return judged;
    }
    const auto listen = ListenAddress::parse("0");
    const auto upstream = UpstreamAddress::parse(fmt::format("127.0.0.1:{}", upstream_port));
    if (!listen || !upstream) return failure("cannot name the demonstration's addresses");
    engine::ProxySpec spec;
    spec.name = "demo";
    spec.rules.listen = *listen;
    spec.rules.upstream = *upstream;
    const auto listening = engine_->add_proxy(std::move(spec));
    if (!listening) return tl::make_unexpected(listening.error());
    port_ = listening->addresses[0].port();
    return engine_->start();
  }

  [[nodiscard]] auto port() const -> std::uint16_t override { return port_; }

  auto stop() -> Result<void> override {
    if (!engine_->stop(std::chrono::milliseconds{2000})) return failure("the view did not take its last events");
    return {};
  }

  [[nodiscard]] auto stream_excerpt() const -> std::string override {
    if (diagnosis_ != nullptr) return first_cause();
    std::string text(8192, '\0');
    const ssize_t n = ::pread(memory_.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

 private:
  auto diagnose() -> Result<void> {
    diagnose::DiagnosisOptions options;
    options.server = "the embedded server";
    options.acknowledge_at_once = [this](const SessionHandle& handle, LegName leg, unsigned reads) {
      engine_->acknowledge_at_once(handle, leg, reads);
    };
    auto observer = std::make_unique<diagnose::Diagnosis>(std::move(options));
    diagnosis_ = observer.get();
    auto attached = engine_->attach({.observer = std::move(observer),
                                     .ring = {.policy = event::FullPolicy::drop, .mask = diagnose::required_events()}});
    if (!attached) return tl::make_unexpected(attached.error());
    return {};
  }
  // The report, of the cause that cost most.
  [[nodiscard]] auto first_cause() const -> std::string {
    constexpr std::size_t columns = 78;
    diagnose::Report report = diagnosis_->report();
    report.causes.resize(std::min<std::size_t>(report.causes.size(), 1));
    report.idle = Nanos{};
    std::string text;
    for (const std::string& line : diagnose::report_lines(report, columns)) text += line + '\n';
    return text;
  }

  Fd memory_;
  view::Output output_;
  std::unique_ptr<engine::Engine> engine_;
  const diagnose::Diagnosis* diagnosis_ = nullptr;  // the engine's, which keeps it
  std::uint16_t port_ = 0;
};

}  // namespace

auto start_embedded_weir(std::uint16_t upstream_port, WeirView view) -> Result<std::unique_ptr<WeirUnderTest>> {
  Fd memory(::memfd_create("weir-demo-view", MFD_CLOEXEC));
  if (!memory) return failure(fmt::format("cannot make a memory file: {}", errno_text(errno)), errno);
  auto weir = std::make_unique<EmbeddedWeir>(std::move(memory));
  if (auto started = weir->start(upstream_port, view); !started) return tl::make_unexpected(started.error());
  return weir;
}

}  // namespace weir::demo
