#include "cc/plugin/shape_tracker.h"

#include <string_view>
#include <unordered_set>

#include "cc/graph/fingerprint.h"

namespace grappler_go {
namespace {

constexpr size_t kMaxFunctions = 1000;
// A function is left alone long before; what is beyond need not be told apart.
constexpr size_t kMaxGraphs = 1000;

// "dense/MatMul_12" -> "dense/MatMul".
std::string_view WithoutNumber(std::string_view name) {
  const size_t end = name.find_last_not_of("0123456789");
  const bool numbered = end != std::string_view::npos && end + 1 < name.size();
  return numbered && name[end] == '_' ? name.substr(0, end) : name;
}

}  // namespace

uint64_t FunctionKey(const OpGraph& graph) {
  std::unordered_set<uint64_t> ops;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    // Constants come and go with what Grappler can fold for these shapes.
    if (graph.has(i, kConstant)) continue;
    ops.insert(
        HashBytes(WithoutNumber(graph.name(i)), HashBytes(graph.op(i), 0)));
  }
  uint64_t key = 0;
  for (const uint64_t op : ops) key += op;
  return key;
}

int32_t ShapeTracker::CountBefore(const OpGraph& graph) {
  const uint64_t key = FunctionKey(graph);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    functions_.splice(functions_.begin(), functions_, found->second);
  } else {
    functions_.push_front({key, {}});
    by_key_[key] = functions_.begin();
    if (functions_.size() > kMaxFunctions) {
      by_key_.erase(functions_.back().key);
      functions_.pop_back();
    }
  }
  auto& number_of = functions_.front().number_of;
  const auto next = static_cast<int32_t>(number_of.size());
  const std::string fingerprint = graph.fingerprint().ToString();
  if (number_of.size() >= kMaxGraphs) {
    const auto known = number_of.find(fingerprint);
    return known == number_of.end() ? next : known->second;
  }
  return number_of.try_emplace(fingerprint, next).first->second;
}

}  // namespace grappler_go
