// GraphDef bytes -> RawNodes. Field numbers are those of
// tensorflow/core/framework/{graph,node_def,attr_value}.proto.
#include <algorithm>
#include <limits>

#include "cc/graph/gradient_scope.h"
#include "cc/graph/op_graph_builder.h"
#include "cc/graph/wire.h"

namespace grappler_go {
namespace {

// Attributes longer than this are sampled.
constexpr size_t kMaxHashedBytes = 1024;
constexpr size_t kEndBytes = 256;
constexpr size_t kSamples = 64;

bool IsBytes(const WireField& field, uint32_t number) {
  return field.number == number && field.type == WireType::kBytes;
}

// Names that TensorFlow makes up, and seeds: they decide nothing that a plan
// depends on and differ between two traces of the same program.
bool IsArbitrary(std::string_view key) {
  constexpr std::string_view kArbitrary[] = {"shared_name",
                                             "container",
                                             "debug_name",
                                             "frame_name",
                                             "tensor_array_name",
                                             "stack_name",
                                             "tensor_name",
                                             "seed",
                                             "seed2"};
  return std::find(std::begin(kArbitrary), std::end(kArbitrary), key) !=
         std::end(kArbitrary);
}

bool IsXlaMark(std::string_view key) {
  return key == "_XlaCompile" || key == "_XlaMustCompile" ||
         key == "_XlaScope" || key == "_XlaInternalScope" ||
         key == "_XlaClusterId";
}

bool IsSourceShape(std::string_view key) {
  return key == "_output_shapes" || key == "_handle_shapes" ||
         key == "_handle_dtypes";
}

uint64_t HashSampled(std::string_view bytes) {
  uint64_t hash = HashBytes(bytes.substr(0, kEndBytes), bytes.size());
  hash = HashBytes(bytes.substr(bytes.size() - kEndBytes), hash);
  const size_t stride = bytes.size() / kSamples;
  for (size_t i = 0; i < kSamples; ++i) {
    hash = HashBytes(bytes.substr(i * stride, sizeof(uint64_t)), hash);
  }
  return hash;
}

uint64_t HashWithoutDigits(std::string_view text, uint64_t seed) {
  std::string letters;
  letters.reserve(text.size());
  for (char c : text) {
    if (c < '0' || c > '9') letters.push_back(c);
  }
  return HashBytes(letters, seed);
}

// The functions that an AttrValue names: its func field or those of its list.
// False when it names none.
bool HashFunctions(std::string_view value, uint64_t* hash) {
  constexpr char kFuncTag = 10 << 3 | 2, kListTag = 1 << 3 | 2;
  if (value.empty() || (value[0] != kFuncTag && value[0] != kListTag)) {
    return false;
  }
  bool found = false;
  WireReader reader(value);
  WireField field, item;
  while (reader.Next(&field)) {
    if (IsBytes(field, 10)) {  // NameAttrList
      WireReader function(field.bytes);
      while (function.Next(&item)) {
        if (IsBytes(item, 1)) *hash = HashWithoutDigits(item.bytes, *hash);
      }
      found = true;
    } else if (IsBytes(field, 1)) {  // ListValue
      // A list is of one kind: its first item tells.
      WireReader list(field.bytes);
      while (list.Next(&item) && IsBytes(item, 9)) {
        WireReader function(item.bytes);
        WireField name;
        while (function.Next(&name)) {
          if (IsBytes(name, 1)) *hash = HashWithoutDigits(name.bytes, *hash);
        }
        found = true;
      }
    }
  }
  return found;
}

// AttrValue.type, or 0.
int32_t TypeOf(std::string_view value) {
  WireReader reader(value);
  WireField field;
  int32_t type = 0;
  while (reader.Next(&field)) {
    if (field.number == 6 && field.type == WireType::kVarint) {
      type = static_cast<int32_t>(std::min<uint64_t>(field.varint, 1 << 16));
    }
  }
  return type;
}

// One entry of the map<string, AttrValue>.
bool ReadEntry(std::string_view entry, std::string_view* key,
               std::string_view* value) {
  *key = *value = {};
  WireReader reader(entry);
  WireField field;
  while (reader.Next(&field)) {
    if (IsBytes(field, 1)) *key = field.bytes;
    if (IsBytes(field, 2)) *value = field.bytes;
  }
  return reader.ok();
}

}  // namespace

int32_t StringTable::Intern(std::string_view text) {
  // Neighbours in the file tend to share a device.
  if (last_ >= 0 && strings_[last_] == text) return last_;
  const auto at = [this](int32_t i) { return strings_[i]; };
  if (strings_.size() == capacity_) {
    capacity_ = std::max<size_t>(64, capacity_ * 2);
    index_ = NameIndex(capacity_);
    for (size_t i = 0; i < strings_.size(); ++i) {
      index_.Insert(NameKey(strings_[i]), static_cast<int32_t>(i), at);
    }
  }
  const NameKey key(text);
  last_ = index_.Find(key, at);
  if (last_ < 0) {
    last_ = static_cast<int32_t>(strings_.size());
    strings_.push_back(text);
    index_.Insert(key, last_, at);
  }
  return last_;
}

std::string_view OpGraphBuilder::FindAttr(std::string_view node,
                                          std::string_view wanted) {
  std::string_view found, key, value;
  WireReader reader(node);
  WireField field;
  while (reader.Next(&field)) {
    // No early return: the last one wins.
    if (IsBytes(field, 5) && ReadEntry(field.bytes, &key, &value) &&
        key == wanted) {
      found = value;
    }
  }
  return found;
}

Status OpGraphBuilder::Read() {
  WireField field;
  // Counting first is cheaper than growing; nodes of fewer bytes than a name
  // and an op take are not worth the room.
  constexpr size_t kMinNodeBytes = 16;
  size_t nodes = 0;
  WireReader counter(graph_.graphdef_);
  while (counter.Next(&field)) nodes += field.number == 1;
  if (!counter.ok()) return InvalidArgument("truncated or malformed GraphDef");
  if (nodes > static_cast<size_t>(std::max<int64_t>(0, options_.max_nodes))) {
    return Status(StatusCode::kResourceExhausted,
                  "more than " + std::to_string(options_.max_nodes) + " nodes");
  }
  if (graph_.graphdef_.size() > std::numeric_limits<uint32_t>::max()) {
    return Status(StatusCode::kResourceExhausted, "more than 4 GiB");
  }
  raw_.reserve(std::min(nodes, graph_.graphdef_.size() / kMinNodeBytes));
  hash_.reserve(raw_.capacity());

  WireReader reader(graph_.graphdef_);
  while (reader.Next(&field)) {
    if (IsBytes(field, 1)) {
      GO_RETURN_IF_ERROR(ReadNode(field));
    } else if (IsBytes(field, 2)) {
      graph_.has_library_ = true;
    } else if (field.number == 1) {
      return InvalidArgument("GraphDef.node is not a message");
    }
  }
  return OkStatus();
}

Status OpGraphBuilder::ReadNode(const WireField& node_field) {
  RawNode node;
  node.bytes = PlaceOf(node_field);
  node.first_input = static_cast<int32_t>(edges_.size());
  NodeText text;
  std::string_view name;
  WireReader reader(node_field.bytes);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number > 5) continue;
    if (field.type != WireType::kBytes) {
      return InvalidArgument("malformed NodeDef");
    }
    switch (field.number) {
      case 1:
        name = field.bytes;
        node.name = PlaceOf(field);
        break;
      case 2:
        text.op = field.bytes;
        break;
      case 3:
        GO_RETURN_IF_ERROR(ReadInput(field, &node));
        break;
      case 4:
        text.device = field.bytes;
        break;
      case 5:
        GO_RETURN_IF_ERROR(ReadAttr(field.bytes, &node, &text));
        break;
    }
  }
  if (!reader.ok()) return InvalidArgument("malformed NodeDef");
  if (name.empty()) return InvalidArgument("a node has no name");
  const std::string_view op = text.op;
  if (op.empty()) {
    return InvalidArgument("node " + std::string(name) + " has no op");
  }
  if (FindGradientScope(name).found) node.flags |= kBackward;
  if (node.flags & kPlanned) node.flags &= ~kMarkedByUser;

  const int32_t type = type_names_.Intern(op);
  const int32_t device = device_names_.Intern(text.device);
  if (std::max(type, device) > std::numeric_limits<uint16_t>::max()) {
    return Status(StatusCode::kResourceExhausted,
                  "more than 65535 op types or devices");
  }
  node.type = static_cast<uint16_t>(type);
  node.device = static_cast<uint16_t>(device);
  if (static_cast<size_t>(type) == types_.size()) {
    TypeInfo info;
    info.def = FindOpDef(op);
    info.hash = HashBytes(op, 0);
    info.next_iteration = op == "NextIteration" || op == "RefNextIteration";
    info.merge = op == "Merge" || op == "RefMerge";
    info.source = op == "_Arg" || op == "Placeholder" ||
                  op == "PlaceholderWithDefault" || op == "VarHandleOp" ||
                  op == "VariableV2";
    types_.push_back(info);
  }
  const TypeInfo& info = types_[node.type];
  if (info.source) text.hash += text.source_shapes;
  hash_.push_back(HashMix(info.hash, text.hash));
  raw_.push_back(node);
  return OkStatus();
}

// "producer", "producer:port" or "^producer".
Status OpGraphBuilder::ReadInput(const WireField& field, RawNode* node) {
  if (edges_.size() >= INT32_MAX) return InvalidArgument("too many edges");
  const std::string_view input = field.bytes;
  // The name may come after its inputs in the bytes.
  const auto name = [&] {
    return node->name == 0 ? std::string() : std::string(NameOf(*node));
  };
  if (!input.empty() && input[0] == '^') {
    ++node->num_control;
    edges_.push_back({PlaceOf(field), kControlPort});
    return OkStatus();
  }
  if (node->num_control > 0) {
    return InvalidArgument("node " + name() +
                           " has a data input after a control input");
  }
  ++node->num_data;
  // Names have no colon of their own in a GraphDef.
  int32_t port = 0;
  const size_t colon = input.rfind(':');
  if (colon != std::string_view::npos) {
    bool valid = colon + 1 < input.size();
    for (char c : input.substr(colon + 1)) {
      valid = valid && c >= '0' && c <= '9' && port < (1 << 24);
      if (valid) port = port * 10 + (c - '0');
    }
    if (!valid) {
      return InvalidArgument("node " + name() +
                             " has a malformed input: " + std::string(input));
    }
  }
  edges_.push_back({PlaceOf(field), port});
  return OkStatus();
}

Status OpGraphBuilder::ReadAttr(std::string_view entry, RawNode* node,
                                NodeText* text) {
  std::string_view key, value;
  if (!ReadEntry(entry, &key, &value)) {
    return InvalidArgument("malformed attribute");
  }
  if (key.empty()) return OkStatus();
  if (key[0] == '_') {
    if (key == kPlannedMark) {
      node->flags |= kPlanned;
    } else if (key == "_class") {
      class_attrs_.emplace_back(static_cast<int32_t>(raw_.size()), value);
    } else if (IsXlaMark(key)) {
      node->flags |= kMarkedByUser;
    } else if (IsSourceShape(key)) {
      text->source_shapes += HashBytes(entry, 0);
    }
    return OkStatus();
  }
  if (IsArbitrary(key)) return OkStatus();
  if (key == "T" || key == "dtype") node->dtype = ByteOfDtype(TypeOf(value));
  // A sum, because a map has no order.
  uint64_t functions = HashBytes(key, 0);
  if (HashFunctions(value, &functions)) {
    node->flags |= kHasSubgraph;
    text->hash += functions;
  } else if (entry.size() > kMaxHashedBytes) {
    text->hash += HashSampled(entry);
  } else {
    text->hash += HashBytes(entry, 0);
  }
  return OkStatus();
}

}  // namespace grappler_go
