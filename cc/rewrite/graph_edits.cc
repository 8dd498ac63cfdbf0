#include "cc/graph/wire.h"
#include "cc/rewrite/node_def.h"
#include "cc/rewrite/rewrite.h"

namespace grappler_go {
namespace {

constexpr uint32_t kGraphNode = 1;  // GraphDef.node

// Calls visit(input) for each input field, in order.
template <typename Visit>
void VisitInputs(std::string_view bytes, const Visit& visit) {
  WireReader reader(bytes);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == kNodeInput && field.type == WireType::kBytes) {
      visit(field.bytes);
    }
  }
}

// The node with each input replaced by renamed(index, input).
template <typename Renamed>
std::string RenameInputs(std::string_view node, const Renamed& renamed) {
  std::string out;
  out.reserve(node.size() + 64);
  WireReader reader(node);
  WireField field;
  int32_t index = 0;
  while (reader.Next(&field)) {
    if (field.number == kNodeInput && field.type == WireType::kBytes) {
      AppendBytesField(kNodeInput, renamed(index++, field.bytes), &out);
    } else {
      out.append(field.begin, field.end);
    }
  }
  return out;
}

}  // namespace

GraphEdits::GraphEdits(const OpGraph& graph)
    : graph_(graph), edits_(graph.num_ops()) {}

GraphEdits::Edit& GraphEdits::Touch(int32_t op) {
  Edit& edit = edits_[op];
  if (!edit.edited) ++num_edited_;
  edit.edited = true;
  return edit;
}

template <typename Visit>
void GraphEdits::VisitPieces(int32_t op, const Visit& visit) const {
  const Edit& edit = edits_[op];
  const auto replaced = edit.has_bytes ? replaced_.find(op) : replaced_.end();
  const std::string_view node = replaced == replaced_.end()
                                    ? graph_.node(op)
                                    : std::string_view(replaced->second);
  if (edit.renamed < 0) {
    visit(node);
  } else {
    visit(std::string_view(
        RenameInputs(node, [&](int32_t slot, std::string_view old) {
          for (int32_t r = edit.renamed; r >= 0; r = renamed_[r].earlier) {
            if (renamed_[r].slot == slot) {
              return std::string_view(shared_[renamed_[r].name]);
            }
          }
          return old;
        })));
  }
  for (int32_t shared : edit.shared) {
    if (shared >= 0) visit(std::string_view(shared_[shared]));
  }
  if (!edit.has_bytes) return;
  const auto appended = appended_.find(op);
  if (appended != appended_.end()) visit(std::string_view(appended->second));
}

void GraphEdits::Append(int32_t op, std::string_view bytes) {
  Touch(op).has_bytes = true;
  appended_[op].append(bytes);
}

int32_t GraphEdits::Share(std::string bytes) {
  shared_.push_back(std::move(bytes));
  return static_cast<int32_t>(shared_.size()) - 1;
}

void GraphEdits::AppendShared(int32_t op, int32_t shared) {
  for (int32_t& place : Touch(op).shared) {
    if (place >= 0) continue;
    place = shared;
    return;
  }
  Append(op, shared_[shared]);
}

void GraphEdits::AddControlInput(int32_t op, std::string_view source) {
  const std::string input = "^" + std::string(source);
  bool present = false;
  VisitPieces(op, [&](std::string_view piece) {
    VisitInputs(piece, [&](std::string_view in) { present |= in == input; });
  });
  if (present) return;
  std::string bytes;
  AppendBytesField(kNodeInput, input, &bytes);
  Append(op, bytes);
}

void GraphEdits::AddClone(int32_t op, std::string_view name, std::string node) {
  clones_[op] = {std::string(name), num_added()};
  Add(std::move(node));
}

std::string_view GraphEdits::clone(int32_t op) const {
  const auto found = clones_.find(op);
  return found == clones_.end() ? std::string_view() : found->second.name;
}

void GraphEdits::AddControlInputToClone(int32_t op, std::string_view source) {
  const std::string input = "^" + std::string(source);
  std::string& node = added_[clones_.at(op).at];
  bool present = false;
  VisitInputs(node, [&](std::string_view in) { present |= in == input; });
  if (!present) AppendBytesField(kNodeInput, input, &node);
}

void GraphEdits::ReplaceInput(int32_t op, int32_t src, int32_t port,
                              std::string_view input) {
  // Neighbours tend to read the same clone.
  if (shared_.empty() || shared_.back() != input) shared_.emplace_back(input);
  const auto name = static_cast<int32_t>(shared_.size()) - 1;
  const Span<InputEdge> inputs = graph_.inputs(op);
  Edit& edit = Touch(op);
  for (size_t slot = 0; slot < inputs.size(); ++slot) {
    if (inputs[slot].src != src || inputs[slot].port != port) continue;
    renamed_.push_back({static_cast<int32_t>(slot), name, edit.renamed});
    edit.renamed = static_cast<int32_t>(renamed_.size()) - 1;
  }
}

void GraphEdits::Replace(int32_t op, std::string node) {
  Edit& edit = Touch(op);
  edit = Edit();
  edit.edited = edit.has_bytes = true;
  appended_.erase(op);
  replaced_[op] = std::move(node);
}

void GraphEdits::Remove(int32_t op) { Touch(op).removed = true; }

std::string GraphEdits::current(int32_t op) const {
  std::string node;
  VisitPieces(op, [&](std::string_view piece) { node.append(piece); });
  return node;
}

void GraphEdits::RedirectAdded(
    const std::unordered_map<std::string, std::string>& to) {
  for (std::string& node : added_) {
    node = RenameInputs(node, [&](int32_t, std::string_view old) {
      const auto it = to.find(std::string(old));
      return it == to.end() ? old : std::string_view(it->second);
    });
  }
}

std::string GraphEdits::NewName(std::string_view prefix) {
  std::string name(prefix);
  for (int i = 1; graph_.find(name) >= 0 || new_names_.count(name) > 0; ++i) {
    name = std::string(prefix) + "_" + std::to_string(i);
  }
  new_names_.insert(name);
  return name;
}

size_t GraphEdits::SizeOf(int32_t op) const {
  size_t size = to_all_.size();
  VisitPieces(op, [&](std::string_view piece) { size += piece.size(); });
  return size;
}

std::string GraphEdits::Write() const {
  constexpr size_t kFieldHeader = 11;  // tag and length, at most
  const std::string_view bytes = graph_.graphdef();
  size_t size = bytes.size();
  for (int32_t op = 0; op < graph_.num_ops(); ++op) {
    if (!edits_[op].edited) continue;
    if (!edits_[op].removed) size += SizeOf(op) + kFieldHeader;
    size -= graph_.node(op).size();
  }
  for (const std::string& node : added_) {
    size += node.size() + to_all_.size() + kFieldHeader;
  }
  std::string out;
  out.reserve(size);

  const auto write_header = [&out](size_t length) {
    AppendVarint(
        uint64_t{kGraphNode} << 3 | static_cast<uint64_t>(WireType::kBytes),
        &out);
    AppendVarint(length, &out);
  };
  const char* stretch = bytes.data();  // first byte not yet written
  int32_t file_index = 0;
  WireReader reader(bytes);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number != kGraphNode || field.type != WireType::kBytes) continue;
    const int32_t op = graph_.op_at(file_index++);
    if (edits_[op].edited) {
      out.append(stretch, field.begin);
      stretch = field.end;
      if (!edits_[op].removed) {
        write_header(SizeOf(op));
        VisitPieces(op, [&](std::string_view piece) { out.append(piece); });
        out.append(to_all_);
      }
    }
    if (file_index == graph_.num_ops() && !added_.empty()) {
      out.append(stretch, field.end);
      stretch = field.end;
      for (const std::string& node : added_) {
        write_header(node.size() + to_all_.size());
        out.append(node).append(to_all_);
      }
    }
  }
  out.append(stretch, bytes.data() + bytes.size());
  return out;
}

}  // namespace grappler_go
