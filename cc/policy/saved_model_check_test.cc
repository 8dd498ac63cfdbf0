#include "cc/policy/saved_model_check.h"

#include <gtest/gtest.h>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

std::string NodeDef(const std::string& name, const std::string& op) {
  std::string node;
  AppendBytesField(1, name, &node);
  AppendBytesField(2, op, &node);
  return node;
}

// A FunctionDefLibrary of one function with one node.
std::string Library(const std::string& function, const std::string& op) {
  std::string signature, def, library;
  AppendBytesField(1, function, &signature);
  AppendBytesField(1, signature, &def);
  AppendBytesField(3, NodeDef("inner", op), &def);
  AppendBytesField(1, def, &library);
  return library;
}

std::string TensorInfo(const std::string& tensor, int dtype) {
  std::string info;
  AppendBytesField(1, tensor, &info);
  AppendVarintField(2, static_cast<uint64_t>(dtype), &info);
  return info;
}

std::string MapEntry(const std::string& key, const std::string& value) {
  std::string entry;
  AppendBytesField(1, key, &entry);
  AppendBytesField(2, value, &entry);
  return entry;
}

struct Model {
  GraphBuilder graph;
  std::string tag = "serve";
  std::string signature_name = "serving_default";
  std::string output = "y:0";
  std::string restore_op, init_op, collection;
  std::string tail;  // of the MetaGraph
  bool asset = false;

  Model() { graph.Node("x", "Placeholder").Node("y", "Relu", {"x"}); }

  std::string Bytes() const {
    std::string meta, info;
    AppendBytesField(4, tag, &info);
    AppendBytesField(1, info, &meta);
    AppendBytesField(2, graph.Build(), &meta);
    std::string signature;
    AppendBytesField(1, MapEntry("op_features", TensorInfo("x:0", 1)),
                     &signature);
    AppendBytesField(2, MapEntry("fusion", TensorInfo(output, 1)), &signature);
    AppendBytesField(5, MapEntry(signature_name, signature), &meta);
    if (!restore_op.empty()) {
      std::string saver;
      AppendBytesField(3, restore_op, &saver);
      AppendBytesField(3, saver, &meta);
    }
    if (!init_op.empty()) {
      std::string init;
      AppendBytesField(
          2, MapEntry("__saved_model_init_op", TensorInfo(init_op, 0)), &init);
      AppendBytesField(5, MapEntry("__saved_model_init_op", init), &meta);
    }
    if (!collection.empty()) {
      std::string list, nodes;
      AppendBytesField(1, "init", &list);
      AppendBytesField(1, list, &nodes);
      AppendBytesField(4, MapEntry(collection, nodes), &meta);
    }
    if (asset) AppendBytesField(6, "", &meta);
    meta += tail;
    std::string model;
    AppendVarintField(1, 1, &model);
    AppendBytesField(2, meta, &model);
    return model;
  }

  void ExpectRefused(const std::string& part) const {
    StatusOr<SavedModelSignature> checked = CheckSavedModel(Bytes());
    ASSERT_FALSE(checked.ok());
    EXPECT_NE(checked.status().message().find(part), std::string::npos)
        << checked.status().message();
  }
  void ExpectAccepted() const {
    StatusOr<SavedModelSignature> checked = CheckSavedModel(Bytes());
    EXPECT_TRUE(checked.ok()) << checked.status().message();
  }
};

TEST(SavedModelCheck, ReadsTheSignature) {
  StatusOr<SavedModelSignature> signature = CheckSavedModel(Model().Bytes());
  ASSERT_TRUE(signature.ok()) << signature.status().message();
  EXPECT_EQ(signature->inputs.at("op_features").tensor, "x:0");
  EXPECT_EQ(signature->inputs.at("op_features").dtype, 1);
  EXPECT_EQ(signature->outputs.at("fusion").tensor, "y:0");
}

TEST(SavedModelCheck, RefusesByNameAnOpThatReadsFiles) {
  for (const char* op : {"ReadFile", "WriteFile", "TextLineDataset", "PyFunc",
                         "EagerPyFunc", "PyFuncStateless", "LoadLibrary",
                         "MatchingFiles", "PrintV2", "NoSuchOp"}) {
    Model model;
    model.graph.Node("bad", op);
    model.ExpectRefused(std::string(op) + " (node bad)");
  }
}

TEST(SavedModelCheck, LooksIntoFunctions) {
  Model model;
  model.graph.Library(Library("f", "ReadFile"));
  model.ExpectRefused("ReadFile (node inner)");
}

TEST(SavedModelCheck, AcceptsACallByTheFunctionsOwnName) {
  Model model;
  model.graph.Library(Library("my_function", "Relu")).Node("c", "my_function");
  model.ExpectAccepted();
}

TEST(SavedModelCheck, RefusesAFunctionThatTakesAnOpsName) {
  Model model;
  model.graph.Library(Library("Relu", "Relu"));
  model.ExpectRefused("redefine the op Relu");
}

// Saving and restoring is there because exporters put it there, and may not be
// reached from what the policy computes.
TEST(SavedModelCheck, AcceptsTheExportersSaverThatNothingReaches) {
  Model model;
  model.graph.Library(Library("save", "SaveV2"))
      .Node("saver", "StatefulPartitionedCall", {}, {{"f", FuncAttr("save")}})
      .Node("restore", "RestoreV2");
  model.restore_op = "restore";
  model.graph.Node("init", "NoOp");
  model.collection = "saved_model_main_op";
  model.ExpectAccepted();
}

TEST(SavedModelCheck, RefusesFilesInWhatTheSignatureComputes) {
  Model reads;
  reads.graph.Node("r", "RestoreV2").Node("z", "Relu", {"r"});
  reads.output = "z:0";
  reads.ExpectRefused("RestoreV2");

  Model by_control_edge;
  by_control_edge.graph.Node("r", "RestoreV2").Node("z", "Relu", {"x", "^r"});
  by_control_edge.output = "z:0";
  by_control_edge.ExpectRefused("RestoreV2");

  Model in_a_function;
  in_a_function.graph.Library(Library("f", "SaveV2"))
      .Node("z", "StatefulPartitionedCall", {"x"}, {{"f", FuncAttr("f")}});
  in_a_function.output = "z:0";
  in_a_function.ExpectRefused("SaveV2");
}

TEST(SavedModelCheck, RefusesWritingFilesAtLoad) {
  Model restores;
  restores.graph.Node("s", "SaveV2").Node("restore", "NoOp", {"^s"});
  restores.restore_op = "restore";
  restores.ExpectRefused("SaveV2");

  Model initialises;
  initialises.graph.Node("s", "MergeV2Checkpoints").Node("i", "NoOp", {"^s"});
  initialises.init_op = "i";
  initialises.ExpectRefused("MergeV2Checkpoints");

  for (const char* name : {"saved_model_main_op", "legacy_init_op"}) {
    Model in_a_collection;
    in_a_collection.collection = name;
    in_a_collection.graph.Node("s", "SaveV2").Node("init", "NoOp", {"^s"});
    in_a_collection.ExpectRefused("SaveV2");
  }
}

TEST(SavedModelCheck, RefusesAssetsOtherTagsAndAMissingSignature) {
  Model assets;
  assets.asset = true;
  assets.ExpectRefused("asset files");
  Model tag;
  tag.tag = "train";
  tag.ExpectRefused("'serve'");
  Model signature;
  signature.signature_name = "other";
  signature.ExpectRefused("serving_default");
}

TEST(SavedModelCheck, RefusesAPartThatBreaksOff) {
  Model model;
  model.tail = std::string("\x32\x05xyz");  // five bytes, of which three
  model.ExpectRefused("malformed");
}

TEST(SavedModelCheck, RefusesTruncatedBytesWithoutReadingPastThem) {
  const std::string bytes = Model().Bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    // On the heap, so that a sanitizer sees every byte too far.
    const std::string cut(bytes.data(), size);
    EXPECT_FALSE(CheckSavedModel(cut).ok()) << size;
  }
}

}  // namespace
}  // namespace grappler_go
