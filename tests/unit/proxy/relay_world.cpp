#include "proxy/relay_world.h"

namespace weir::proxy {

template class Pump<scripted::PlainLeg::End, scripted::PlainLeg::End>;
template class Relay<scripted::PlainLeg::End, scripted::PlainLeg::End>;
template class scripted::World<scripted::PlainLeg, scripted::PlainLeg>;

}  // namespace weir::proxy
