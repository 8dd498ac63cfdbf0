#include "cc/sim/loops.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "cc/graph/attr_value.h"
#include "cc/graph/frames.h"

namespace grappler_go {
namespace {

// The op behind those that only hand a value on.
int32_t Behind(const OpGraph& graph, int32_t op) {
  while (!graph.inputs(op).empty() && graph.inputs(op)[0].port >= 0 &&
         !graph.inputs(op)[0].back_edge &&
         (graph.op(op) == "Identity" || IsEnter(graph.op(op)) ||
          graph.op(op) == "Switch")) {
    op = graph.inputs(op)[0].src;
  }
  return op;
}

std::optional<int64_t> ConstantScalar(const OpGraph& graph, int32_t op) {
  op = Behind(graph, op);
  if (!graph.has(op, kConstant)) return std::nullopt;
  const ParsedTensor tensor = ParseTensor(AttrTensor(graph.attr(op, "value")));
  if (tensor.values.size() != 1 || tensor.values[0] == kUnknownValue) {
    return std::nullopt;
  }
  return tensor.values[0];
}

// A loop's variable that starts at a constant and is moved by a constant.
struct Counter {
  int64_t start = 0, step = 0;
};
std::optional<Counter> FindCounter(const OpGraph& graph, int32_t op) {
  const int32_t merge = Behind(graph, op);
  if (graph.op(merge) != "Merge") return std::nullopt;
  std::optional<int64_t> start, step;
  for (const InputEdge& e : graph.inputs(merge)) {
    if (e.port == kControlPort) break;
    if (!e.back_edge) {
      start = ConstantScalar(graph, e.src);
      continue;
    }
    if (graph.inputs(e.src).empty()) return std::nullopt;
    const int32_t next = Behind(graph, graph.inputs(e.src)[0].src);
    const Span<InputEdge> terms = graph.inputs(next);
    const std::string_view type = graph.op(next);
    if ((type != "AddV2" && type != "Add" && type != "Sub") ||
        terms.size() < 2 || terms[1].port < 0) {
      return std::nullopt;
    }
    const bool first = Behind(graph, terms[0].src) == merge;
    if (!first && (type == "Sub" || Behind(graph, terms[1].src) != merge)) {
      return std::nullopt;
    }
    step = ConstantScalar(graph, terms[first ? 1 : 0].src);
    if (step && type == "Sub") step = -*step;
  }
  if (!start || !step) return std::nullopt;
  return Counter{*start, *step};
}

constexpr int64_t kTooMany = int64_t{1} << 31;

// How often `counter < limit` (or <=) holds; nothing for a counter that moves
// away from the limit.
std::optional<int64_t> StepsBelow(const Counter& counter, int64_t limit,
                                  bool or_equal) {
  if (std::max({std::abs(counter.start), std::abs(counter.step),
                std::abs(limit)}) >= kTooMany) {
    return std::nullopt;
  }
  const int64_t distance = limit - counter.start + (or_equal ? 1 : 0);
  if (distance <= 0) return 0;
  if (counter.step <= 0) return std::nullopt;
  return (distance + counter.step - 1) / counter.step;
}

std::optional<int64_t> Trips(const OpGraph& graph, int32_t condition,
                             int depth = 0) {
  constexpr int kMaxDepth = 16;
  const int32_t op = Behind(graph, condition);
  const Span<InputEdge> inputs = graph.inputs(op);
  if (depth > kMaxDepth || inputs.size() < 2 || inputs[1].port < 0) {
    return std::nullopt;
  }
  const int32_t a = inputs[0].src, b = inputs[1].src;
  const std::string_view type = graph.op(op);
  if (type == "LogicalAnd") {
    const std::optional<int64_t> of_a = Trips(graph, a, depth + 1);
    const std::optional<int64_t> of_b = Trips(graph, b, depth + 1);
    return of_a && of_b ? std::min(*of_a, *of_b) : of_a ? of_a : of_b;
  }
  const bool less = type == "Less" || type == "LessEqual";
  const bool or_equal = type == "LessEqual" || type == "GreaterEqual";
  if (!less && type != "Greater" && type != "GreaterEqual") return std::nullopt;
  std::optional<Counter> counter = FindCounter(graph, a);
  std::optional<int64_t> limit = ConstantScalar(graph, b);
  bool below = less;
  if (!counter || !limit) {  // the limit first: 10 > i
    counter = FindCounter(graph, b);
    limit = ConstantScalar(graph, a);
    below = !less;
  }
  if (!counter || !limit) return std::nullopt;
  if (!below) {  // i > limit is -i < -limit
    *counter = {-counter->start, -counter->step};
    limit = -*limit;
  }
  return StepsBelow(*counter, *limit, or_equal);
}

// Exit <- Switch <- Merge <- NextIteration.
int32_t LastValueOf(const OpGraph& graph, int32_t exit) {
  int32_t op = exit;
  for (const char* expected : {"Switch", "Merge"}) {
    if (graph.inputs(op).empty() || graph.inputs(op)[0].port < 0) return -1;
    op = graph.inputs(op)[0].src;
    const std::string_view type = graph.op(op);
    if (type.substr(type.size() -
                    std::min(type.size(), std::strlen(expected))) !=
        expected) {  // RefSwitch too
      return -1;
    }
  }
  for (const InputEdge& e : graph.inputs(op)) {
    if (e.back_edge) return e.src;
  }
  return -1;
}

struct Iterations {
  int64_t ops = 0;  // that run in a frame and in loops within it
  int32_t trips = 1, runs = 1;
};

}  // namespace

Loops FindLoops(const OpGraph& graph, int64_t max_runs) {
  Loops loops;
  const int32_t n = graph.num_ops();
  const Frames found = FindFrames(graph);
  const std::vector<Frame>& frames = found.frames;
  if (frames.empty()) return loops;

  std::vector<Iterations> of_frame(frames.size());
  for (int32_t i = 0; i < n; ++i) ++of_frame[found.runs_in[i]].ops;
  for (size_t f = frames.size() - 1; f > 0; --f) {
    of_frame[frames[f].parent].ops += of_frame[f].ops;
  }
  int64_t total = n;
  for (size_t f = 1; f < frames.size(); ++f) {  // parents come first
    Iterations& frame = of_frame[f];
    const int32_t condition = frames[f].condition;
    std::optional<int64_t> trips;
    if (condition >= 0 && !graph.inputs(condition).empty()) {
      trips = Trips(graph, graph.inputs(condition)[0].src);
    }
    const int32_t outer = of_frame[frames[f].parent].runs;
    frame.runs = outer;
    if (trips && *trips <= max_runs / outer &&
        total + frame.ops * outer * (*trips - 1) <= max_runs) {
      frame.trips = static_cast<int32_t>(std::max<int64_t>(*trips, 1));
      frame.runs = outer * frame.trips;
      total += frame.ops * outer * (frame.trips - 1);
      ++loops.unrolled;
    } else {
      ++loops.run_once;
    }
  }
  loops.runs.resize(n);
  loops.trips.resize(n);
  loops.exit_reads.assign(n, -1);
  for (int32_t i = 0; i < n; ++i) {
    if (IsExit(graph.op(i))) loops.exit_reads[i] = LastValueOf(graph, i);
    loops.runs[i] = of_frame[found.runs_in[i]].runs;
    loops.trips[i] = of_frame[found.runs_in[i]].trips;
  }
  return loops;
}

}  // namespace grappler_go
