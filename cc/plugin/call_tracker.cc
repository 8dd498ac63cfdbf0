#include "cc/plugin/call_tracker.h"

#include <atomic>

namespace grappler_go {
namespace {

std::atomic<bool> act_on_first_call{false};

}  // namespace

CallTracker::~CallTracker() {
  for (const auto& [key, graph] : graphs_) {
    if (graph.calls == 1 && !graph.acted && !graph.tiny)
      act_on_first_call = true;
  }
}

bool CallTracker::ShouldAct(const void* item, uint64_t fetches, bool tiny) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Graph& graph = graphs_[{item, fetches}];
  ++graph.calls;
  graph.tiny = tiny;
  if (graph.calls == 2) act_on_first_call = false;
  if (graph.acted || (graph.calls == 1 && !act_on_first_call)) return false;
  graph.acted = true;
  return true;
}

}  // namespace grappler_go
