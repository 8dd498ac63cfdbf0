// Features: an OpGraph and a Machine as the arrays that a policy reads.
//
// The layout is the policy schema (kSchemaMajor.kSchemaMinor). A new feature is
// a new name and a new minor version; the meaning of a name never changes
// within a major version. A model is fed only the arrays that its schema.json
// lists, so core and models may be of different minor versions.
#ifndef GRAPPLER_GO_SCHEMA_FEATURES_H_
#define GRAPPLER_GO_SCHEMA_FEATURES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cc/cost/machine.h"
#include "cc/graph/op_graph.h"

namespace grappler_go {

constexpr int kSchemaMajor = 1;
constexpr int kSchemaMinor = 3;

// Names of the columns of op_features, device_features and (since 1.1)
// link_features, in order. A name says what is in the column: "log2_x" is
// log2(1 + x), "is_", "has_", "in_" and "class_" columns are 0 or 1, as are
// "kind_" columns (CostKind, since 1.3), "relative_" ones between them
// (op_positions.h, since 1.2, but for "relative_depth"). Of tensors, the first
// output's is meant.
const std::vector<std::string>& OpFeatureNames();
const std::vector<std::string>& DeviceFeatureNames();
const std::vector<std::string>& LinkFeatureNames();
// The op vocabulary: op_type 0 is "any other op", the rest are the ops of
// op_def.h, sorted by name.
const std::vector<std::string>& OpVocabulary();

// Groups of arrays, or-ed together: a policy that reads a few of them need not
// wait for the others, nor find room for them.
enum FeatureArrays : uint32_t {
  kOpTypes = 1 << 0,
  kOpFeatures = 1 << 1,
  kEdgeArrays = 1 << 2,  // edge_src, edge_dst and edge_features
  kDeviceFeatures = 1 << 3,
  // Since schema 1.1:
  kLinkFeatures = 1 << 4,
  kOpDeviceMicros = 1 << 5,
  kPlacementArrays = 1 << 6,  // unit and allowed
  kAllArrays = (1 << 7) - 1,
};
// The group of an array by its name in SchemaJson(); 0 when there is none.
uint32_t ArraysOf(std::string_view name);
// All names, in the order of SchemaJson().
std::vector<std::string> ArrayNames();

struct Features {
  int32_t num_ops = 0;
  int32_t num_devices = 0;
  std::vector<int32_t> op_type;      // [num_ops], into OpVocabulary()
  std::vector<float> op_features;    // [num_ops, |OpFeatureNames()|], row-major
  std::vector<int32_t> edge_src;     // [num_edges] data edges, by consumer
  std::vector<int32_t> edge_dst;     // [num_edges]
  std::vector<float> edge_features;  // [num_edges, 1]: log2(1 + bytes)
  std::vector<float> device_features;  // [num_devices, |DeviceFeatureNames()|]
  // [num_devices, num_devices, |LinkFeatureNames()|], from the first to the
  // second; 0 on the diagonal. A link that the machine does not name is as its
  // slowest.
  std::vector<float> link_features;
  // [num_ops, num_devices]: log2(1 + microseconds) of one run of the op alone,
  // as it was timed there, else by a roofline.
  std::vector<float> op_device_micros;
  // Where ops may be, which cc/plan/policy_features.h fills in: [num_ops] the
  // first of the ops that must share a device with this one; [num_ops,
  // num_devices] 1 where these may be.
  std::vector<int32_t> unit;
  std::vector<float> allowed;

  // Columns of op_features, device_features and link_features.
  size_t num_op_columns = OpFeatureNames().size();
  size_t num_device_columns = DeviceFeatureNames().size();
  size_t num_link_columns = LinkFeatureNames().size();
};

// One array of Features by name, with its shape. Both pointers are null where
// there is no such array.
struct FeatureArray {
  const std::vector<int32_t>* ints = nullptr;
  const std::vector<float>* floats = nullptr;
  std::vector<int64_t> shape;
};
FeatureArray FindArray(const Features& features, std::string_view name);

// Never fails: what is not known is 0, with a column that says so. Arrays that
// are not among `arrays` stay empty, and so do kPlacementArrays.
Features ComputeFeatures(const OpGraph& graph, const Machine& machine,
                         uint32_t arrays = kAllArrays);

// What a policy's schema.json is made from: {"schema": "1.2", "inputs": [...],
// "op_features": [...], "device_features": [...], "link_features": [...],
// "vocabulary": [...], "outputs": [...]}. Inputs and outputs are all that there
// are; a model's own file lists those that it reads and answers with.
std::string SchemaJson();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_SCHEMA_FEATURES_H_
