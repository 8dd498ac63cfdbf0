// The arrays of Features by name.
#include <string>

#include "cc/base/json.h"
#include "cc/schema/features.h"

namespace grappler_go {
namespace {

struct NamedArray {
  const char* name;
  uint32_t group;  // of FeatureArrays
};

constexpr NamedArray kArrays[] = {
    {"op_type", kOpTypes},
    {"op_features", kOpFeatures},
    {"edge_src", kEdgeArrays},
    {"edge_dst", kEdgeArrays},
    {"edge_features", kEdgeArrays},
    {"device_features", kDeviceFeatures},
    {"link_features", kLinkFeatures},
    {"op_device_micros", kOpDeviceMicros},
    {"unit", kPlacementArrays},
    {"allowed", kPlacementArrays},
};

}  // namespace

uint32_t ArraysOf(std::string_view name) {
  for (const NamedArray& array : kArrays) {
    if (array.name == name) return array.group;
  }
  return 0;
}

std::vector<std::string> ArrayNames() {
  std::vector<std::string> names;
  for (const NamedArray& array : kArrays) names.emplace_back(array.name);
  return names;
}

FeatureArray FindArray(const Features& f, std::string_view name) {
  const int64_t ops = f.num_ops, devices = f.num_devices;
  const auto edges = static_cast<int64_t>(f.edge_src.size());
  const auto wide = [](size_t columns) {
    return static_cast<int64_t>(columns);
  };
  if (name == "op_type") return {&f.op_type, nullptr, {ops}};
  if (name == "op_features") {
    return {nullptr, &f.op_features, {ops, wide(f.num_op_columns)}};
  }
  if (name == "edge_src") return {&f.edge_src, nullptr, {edges}};
  if (name == "edge_dst") return {&f.edge_dst, nullptr, {edges}};
  if (name == "edge_features") return {nullptr, &f.edge_features, {edges, 1}};
  if (name == "device_features") {
    return {nullptr, &f.device_features, {devices, wide(f.num_device_columns)}};
  }
  if (name == "link_features") {
    return {nullptr,
            &f.link_features,
            {devices, devices, wide(f.num_link_columns)}};
  }
  if (name == "op_device_micros") {
    return {nullptr, &f.op_device_micros, {ops, devices}};
  }
  if (name == "unit") return {&f.unit, nullptr, {ops}};
  if (name == "allowed") return {nullptr, &f.allowed, {ops, devices}};
  return {};
}

std::string SchemaJson() {
  Json json;
  json["schema"] =
      std::to_string(kSchemaMajor) + "." + std::to_string(kSchemaMinor);
  json["inputs"] = ArrayNames();
  json["op_features"] = OpFeatureNames();
  json["device_features"] = DeviceFeatureNames();
  json["link_features"] = LinkFeatureNames();
  json["vocabulary"] = OpVocabulary();
  json["outputs"] = std::vector<std::string>{
      "device", "fusion", "schedule", "recompute", "op_micros", "fused_micros"};
  return JsonText(json, 1);
}

}  // namespace grappler_go
