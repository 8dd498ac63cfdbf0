#include "cc/rewrite/node_def.h"

#include <algorithm>

#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

// Field numbers of AttrValue and of its ListValue (attr_value.proto).

}  // namespace

std::string_view NodeView::attr(std::string_view key) const {
  const auto it = std::lower_bound(
      attrs.begin(), attrs.end(), key,
      [](const Attr& a, std::string_view k) { return a.first < k; });
  return it != attrs.end() && it->first == key ? it->second
                                               : std::string_view();
}

bool ReadAttrEntry(std::string_view entry, NodeView::Attr* attr) {
  *attr = {};
  WireReader reader(entry);
  WireField field;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) continue;
    if (field.number == 1) attr->first = field.bytes;
    if (field.number == 2) attr->second = field.bytes;
  }
  return reader.ok();
}

bool ReadNode(std::string_view node, NodeView* view) {
  *view = {};
  WireReader reader(node);
  WireField field;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) continue;
    switch (field.number) {
      case kNodeName:
        view->name = field.bytes;
        break;
      case kNodeOp:
        view->op = field.bytes;
        break;
      case kNodeDevice:
        view->device = field.bytes;
        break;
      case kNodeInput:
        (field.bytes.substr(0, 1) == "^" ? view->control_inputs
                                         : view->data_inputs)
            .push_back(field.bytes);
        break;
      case kNodeAttr: {
        NodeView::Attr attr;
        if (!ReadAttrEntry(field.bytes, &attr)) return false;
        view->attrs.push_back(attr);
        break;
      }
    }
  }
  if (!reader.ok()) return false;
  // Stable, so that the last of equal keys is the one that counts.
  std::stable_sort(view->attrs.begin(), view->attrs.end(),
                   [](const NodeView::Attr& a, const NodeView::Attr& b) {
                     return a.first < b.first;
                   });
  size_t kept = 0;
  for (const NodeView::Attr& attr : view->attrs) {
    if (kept > 0 && view->attrs[kept - 1].first == attr.first) --kept;
    view->attrs[kept++] = attr;
  }
  view->attrs.resize(kept);
  return true;
}

std::string WriteNode(const NodeView& view) {
  std::string node;
  AppendBytesField(kNodeName, view.name, &node);
  AppendBytesField(kNodeOp, view.op, &node);
  for (std::string_view in : view.data_inputs) {
    AppendBytesField(kNodeInput, in, &node);
  }
  for (std::string_view in : view.control_inputs) {
    AppendBytesField(kNodeInput, in, &node);
  }
  AppendBytesField(kNodeDevice, view.device, &node);
  for (const auto& [key, value] : view.attrs) AppendAttr(key, value, &node);
  return node;
}

std::string InputName(std::string_view node, int32_t port) {
  std::string name(node);
  if (port > 0) name += ":" + std::to_string(port);
  return name;
}

std::string_view InputNode(std::string_view input) {
  if (!input.empty() && input[0] == '^') return input.substr(1);
  return input.substr(0, input.rfind(':'));
}

int32_t InputPort(std::string_view input) {
  if (!input.empty() && input[0] == '^') return -1;
  const size_t colon = input.rfind(':');
  if (colon == std::string_view::npos) return 0;
  int32_t port = 0;
  for (char c : input.substr(colon + 1)) {
    if (c < '0' || c > '9' || port > 100000) return 0;
    port = 10 * port + (c - '0');
  }
  return port;
}

}  // namespace grappler_go
