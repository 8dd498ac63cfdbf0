#include "cc/schema/features.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_map>

#include "cc/cost/cost_kind.h"
#include "cc/cost/op_cost.h"
#include "cc/graph/attr_value.h"
#include "cc/graph/op_def_table.h"
#include "cc/schema/device_arrays.h"
#include "cc/schema/op_positions.h"

namespace grappler_go {
namespace {

constexpr int kNumClasses = static_cast<int>(OpClass::kNumClasses);

// The columns before the one-hot of OpClass, in the order of kNames.
enum Column {
  kLog2Flops,
  kLog2BytesRead,
  kLog2BytesWritten,
  kLog2OutputElements,
  kOutputRank,
  kLog2LastDim,
  kLog2Batch,
  kLog2Contraction,
  kLog2Kernel,
  kLog2Stride,
  kLog2Inputs,
  kLog2Outputs,
  kLog2Consumers,
  kDtypeSize,
  kRelativeDepth,
  kRelativeFromStart,
  kRelativeToEnd,
  kRelativeStage,
  kCostKnown,
  kShapeKnown,
  kIsBackward,
  kIsStateful,
  kIsRandom,
  kReads,
  kWrites,
  kIsInLoop,
  kIsConditional,
  kIsPreserved,
  kHasXlaKernel,
  kIsRemapped,
  kKindPointwise,
  kKindBroadcast,
  kKindApart,
  kNumColumns,
};

constexpr const char* kNames[] = {
    "log2_flops",         "log2_bytes_read",
    "log2_bytes_written", "log2_output_elements",
    "output_rank",        "log2_last_dim",
    "log2_batch",         "log2_contraction",
    "log2_kernel",        "log2_stride",
    "log2_inputs",        "log2_outputs",
    "log2_consumers",     "dtype_size",
    "relative_depth",     "relative_from_start",
    "relative_to_end",    "relative_stage",
    "cost_known",         "shape_known",
    "is_backward",        "is_stateful",
    "is_random",          "reads_variable",
    "writes_variable",    "in_loop",
    "is_conditional",     "is_preserved",
    "has_xla_cpu_kernel", "is_remapped",
    "kind_pointwise",     "kind_broadcast",
    "kind_apart",
};
static_assert(sizeof(kNames) / sizeof(kNames[0]) == kNumColumns,
              "a name for each column");

float Log2(double value) {
  return value <= 0 ? 0.0f : std::log2(1.0f + static_cast<float>(value));
}

float Flag(bool value) { return value ? 1.0f : 0.0f; }

int NumDataInputs(const OpGraph& graph, int32_t op) {
  int count = 0;
  for (const InputEdge& edge : graph.inputs(op)) count += edge.port >= 0;
  return count;
}

int NumDataConsumers(const OpGraph& graph, int32_t op) {
  int count = 0;
  for (const OutputEdge& edge : graph.outputs(op)) count += edge.port >= 0;
  return count;
}

bool HasWindow(OpClass op_class) {
  return op_class == OpClass::kConv || op_class == OpClass::kDepthwiseConv ||
         op_class == OpClass::kPool;
}

// Product of the positive elements.
double Product(const IntValues& values) {
  double product = 1.0;
  for (const int64_t value : values.span()) {
    product *= static_cast<double>(std::max<int64_t>(value, 1));
  }
  return product;
}

void FillOutput(const OpGraph& graph, int32_t op, const OpCost& cost,
                float* row) {
  if (graph.num_outputs(op) == 0) return;
  row[kDtypeSize] = static_cast<float>(DataTypeSize(graph.dtype(op, 0)));
  const TensorShape& shape = graph.shape(op, 0);
  if (!shape.known_rank()) return;
  row[kOutputRank] = static_cast<float>(shape.rank());
  const auto elements = static_cast<double>(shape.num_elements());
  row[kLog2OutputElements] = Log2(elements);
  if (shape.rank() > 0) {
    row[kLog2LastDim] = Log2(static_cast<double>(shape.dim(-1)));
    row[kLog2Batch] = Log2(static_cast<double>(shape.dim(0)));
  }
  const OpClass op_class = graph.def(op).op_class;
  const bool contracts = op_class == OpClass::kMatMul ||
                         op_class == OpClass::kConv ||
                         op_class == OpClass::kDepthwiseConv;
  // Multiply-adds behind each element of the result.
  if (contracts && elements > 0) {
    row[kLog2Contraction] = Log2(cost.flops / 2.0 / elements);
  }
}

void FillFlags(const OpGraph& graph, int32_t op, float* row) {
  row[kShapeKnown] = Flag(graph.shapes_known(op));
  row[kIsBackward] = Flag(graph.has(op, kBackward));
  row[kIsStateful] = Flag(graph.has(op, kStateful));
  row[kIsRandom] = Flag(graph.has(op, kRandom));
  row[kReads] = Flag(graph.has(op, kReadsVariable));
  row[kWrites] = Flag(graph.has(op, kWritesVariable));
  row[kIsInLoop] = Flag(graph.has(op, kInLoop));
  row[kIsConditional] = Flag(graph.has(op, kConditional));
  row[kIsPreserved] = Flag(graph.has(op, kPreserved));
  row[kHasXlaKernel] = Flag(graph.def(op).xla_cpu);
  row[kIsRemapped] = Flag(graph.def(op).remapped);
  const CostKind kind = CostKindOf(graph, op);
  row[kKindPointwise] = Flag(kind == CostKind::kPointwise);
  row[kKindBroadcast] = Flag(kind == CostKind::kBroadcast);
  row[kKindApart] = Flag(kind == CostKind::kApart);
}

void FillRow(const OpGraph& graph, int32_t op, const OpCost& cost,
             float depth_scale, float* row) {
  const OpClass op_class = graph.def(op).op_class;
  row[kLog2Flops] = Log2(cost.flops);
  row[kLog2BytesRead] = Log2(cost.bytes_read);
  row[kLog2BytesWritten] = Log2(cost.bytes_written);
  row[kCostKnown] = Flag(cost.known);
  if (HasWindow(op_class)) {
    row[kLog2Kernel] = Log2(op_class == OpClass::kPool
                                ? Product(AttrInts(graph.attr(op, "ksize")))
                                : FilterArea(graph, op));
    row[kLog2Stride] = Log2(Product(AttrInts(graph.attr(op, "strides"))));
  }
  row[kLog2Inputs] = Log2(NumDataInputs(graph, op));
  row[kLog2Outputs] = Log2(graph.num_outputs(op));
  row[kLog2Consumers] = Log2(NumDataConsumers(graph, op));
  row[kRelativeDepth] = static_cast<float>(graph.depth(op)) * depth_scale;
  FillOutput(graph, op, cost, row);
  FillFlags(graph, op, row);
  row[kNumColumns + static_cast<int>(op_class)] = 1.0f;
}

// Place in the vocabulary, by OpDef: one look-up an op, no string compared.
using TypeNumbers = std::unordered_map<const OpDef*, int32_t>;

// Never destroyed: the pass may run while the process exits.
const TypeNumbers& NumbersOfTypes() {
  static const TypeNumbers& numbers = *[] {
    auto* built = new TypeNumbers;
    const std::vector<std::string>& vocabulary = OpVocabulary();
    for (size_t i = 1; i < vocabulary.size(); ++i) {
      built->emplace(FindOpDef(vocabulary[i]), static_cast<int32_t>(i));
    }
    return built;
  }();
  return numbers;
}

void FillTypes(const OpGraph& graph, Features* features) {
  const TypeNumbers& numbers = NumbersOfTypes();
  features->op_type.resize(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const auto number = numbers.find(&graph.def(i));
    features->op_type[i] = number == numbers.end() ? 0 : number->second;
  }
}

void FillOps(const OpGraph& graph, Features* features) {
  const size_t width = OpFeatureNames().size();
  int32_t max_depth = 1;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    max_depth = std::max(max_depth, graph.depth(i));
  }
  features->op_features.resize(graph.num_ops() * width);
  std::vector<float> micros(graph.num_ops());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const OpCost cost = CostOf(graph, i);
    FillRow(graph, i, cost, 1.0f / static_cast<float>(max_depth),
            features->op_features.data() + i * width);
    micros[i] = NominalMicros(cost.flops, cost.bytes_read + cost.bytes_written,
                              !graph.inputs(i).empty());
  }
  const OpPositions positions = PositionsOf(graph, micros);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    float* row = features->op_features.data() + i * width;
    row[kRelativeFromStart] = positions.from_start[i];
    row[kRelativeToEnd] = positions.to_end[i];
    row[kRelativeStage] = positions.stage[i];
  }
}

void FillEdges(const OpGraph& graph, Features* features) {
  size_t count = 0;
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    count += static_cast<size_t>(NumDataInputs(graph, i));
  }
  features->edge_src.reserve(count);
  features->edge_dst.reserve(count);
  features->edge_features.reserve(count);
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    for (const InputEdge& edge : graph.inputs(i)) {
      if (edge.port < 0) continue;
      const bool exists = edge.port < graph.num_outputs(edge.src);
      features->edge_src.push_back(edge.src);
      features->edge_dst.push_back(i);
      features->edge_features.push_back(Log2(
          static_cast<double>(exists ? graph.bytes(edge.src, edge.port) : 0)));
    }
  }
}

}  // namespace

const std::vector<std::string>& OpFeatureNames() {
  static const std::vector<std::string>& names = *[] {
    auto* built =
        new std::vector<std::string>(std::begin(kNames), std::end(kNames));
    for (int i = 0; i < kNumClasses; ++i) {
      built->push_back(std::string("class_") +
                       OpClassName(static_cast<OpClass>(i)));
    }
    return built;
  }();
  return names;
}

const std::vector<std::string>& OpVocabulary() {
  static const std::vector<std::string>& vocabulary = *[] {
    auto* built = new std::vector<std::string>{"<other>"};
    for (const OpFamily& family : OpFamilies()) {
      for (const OpRow& row : Span<OpRow>(family.rows, family.size)) {
        built->emplace_back(row.name);
      }
    }
    std::sort(built->begin() + 1, built->end());
    return built;
  }();
  return vocabulary;
}

Features ComputeFeatures(const OpGraph& graph, const Machine& machine,
                         uint32_t arrays) {
  Features features;
  features.num_ops = graph.num_ops();
  features.num_devices = static_cast<int32_t>(machine.devices.size());
  if (arrays & kOpTypes) FillTypes(graph, &features);
  if (arrays & kOpFeatures) FillOps(graph, &features);
  if (arrays & kEdgeArrays) FillEdges(graph, &features);
  if (arrays & kDeviceFeatures) FillDeviceFeatures(machine, &features);
  if (arrays & kLinkFeatures) FillLinkFeatures(machine, &features);
  if (arrays & kOpDeviceMicros) FillOpDeviceMicros(graph, machine, &features);
  return features;
}

}  // namespace grappler_go
