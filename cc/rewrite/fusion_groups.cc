#include "cc/rewrite/fusion_groups.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "cc/graph/wire.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

// Eight hexadecimal digits.
std::string PlanHash(const Plan& plan) {
  const std::string_view groups(
      reinterpret_cast<const char*>(plan.fusion_group.data()),
      plan.fusion_group.size() * sizeof(plan.fusion_group[0]));
  const uint64_t hash =
      HashMix(HashMix(plan.fingerprint.hi, plan.fingerprint.lo),
              HashBytes(groups, /*seed=*/0));
  std::string hex;
  for (int shift = 60; shift >= 32; shift -= 4) {
    hex += "0123456789abcdef"[(hash >> shift) & 15];
  }
  return hex;
}

}  // namespace

std::vector<std::string> FusionGroupAttrs(const Plan& plan) {
  int32_t num_groups = 0;
  for (int32_t group : plan.fusion_group) {
    num_groups = std::max(num_groups, group + 1);
  }
  if (num_groups == 0) return {};
  const std::string prefix = "grappler_go_" + PlanHash(plan) + "_";
  std::vector<std::string> attrs(num_groups);
  for (int32_t g = 0; g < num_groups; ++g) {
    AppendAttr(kXlaCompileAttr, BoolAttrValue(true), &attrs[g]);
    AppendAttr(kXlaScopeAttr, StringAttrValue(prefix + std::to_string(g)),
               &attrs[g]);
    AppendAttr(kXlaSeparateAttr, BoolAttrValue(false), &attrs[g]);
  }
  return attrs;
}

Status RewriteFusionGroups(const Plan& plan, GraphEdits* edits) {
  std::vector<int32_t> shared;
  for (std::string& attrs : FusionGroupAttrs(plan)) {
    shared.push_back(edits->Share(std::move(attrs)));
  }
  for (size_t op = 0; op < plan.fusion_group.size(); ++op) {
    const int32_t group = plan.fusion_group[op];
    if (group >= 0)
      edits->AppendShared(static_cast<int32_t>(op), shared[group]);
  }
  return OkStatus();
}

}  // namespace grappler_go
