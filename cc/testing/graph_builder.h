// Builds GraphDef bytes for tests, without TensorFlow and without protobuf.
//
//   std::string bytes = GraphBuilder()
//                           .Arg("x", {2, 3})
//                           .Const("w", {3, 4})
//                           .Node("y", "MatMul", {"x", "w"},
//                                 {{"T", TypeAttrValue(kFloat)}})
//                           .Retval("out", "y")
//                           .Build();
//
// Nodes are written in the order of the calls. Nothing is checked: tests need
// malformed graphs too.
#ifndef GRAPPLER_GO_TESTING_GRAPH_BUILDER_H_
#define GRAPPLER_GO_TESTING_GRAPH_BUILDER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace grappler_go {

// tensorflow::DataType (tensorflow/core/framework/types.proto).
constexpr int kFloat = 1;
constexpr int kDouble = 2;
constexpr int kInt32 = 3;
constexpr int kInt64 = 9;
constexpr int kBool = 10;
constexpr int kResource = 20;

// Dimensions; -1 is unknown.
using Dims = std::vector<int64_t>;

// Serialized AttrValues beside those of wire.h.
std::string ShapeAttr(const Dims& dims);
std::string FloatAttr(float value);
std::string IntListAttr(const std::vector<int64_t>& values);
std::string StringListAttr(const std::vector<std::string>& values);
std::string ShapeListAttr(const std::vector<Dims>& shapes);
std::string TypeListAttr(const std::vector<int>& dtypes);
std::string FuncAttr(const std::string& function);
// Tensors hold their values as tensor_content. One value for many elements is
// repeated; no value means zero.
std::string FloatTensorAttr(const Dims& dims, std::vector<float> values);
std::string IntTensorAttr(const Dims& dims, std::vector<int32_t> values);

class GraphBuilder {
 public:
  using Attrs = std::vector<std::pair<std::string, std::string>>;

  // Inputs as in a NodeDef: "x", "x:1", "^x". Attributes are pairs of a key and
  // a serialized AttrValue.
  GraphBuilder& Node(const std::string& name, const std::string& op,
                     const std::vector<std::string>& inputs = {},
                     const Attrs& attrs = {}, const std::string& device = "");

  // _Arg of the next index, with _output_shapes.
  GraphBuilder& Arg(const std::string& name, const Dims& dims,
                    int dtype = kFloat);
  // _Arg that is a variable: resource dtype, _handle_shapes, _handle_dtypes.
  GraphBuilder& VarArg(const std::string& name, const Dims& dims,
                       int dtype = kFloat);
  GraphBuilder& Const(const std::string& name, const Dims& dims,
                      const std::vector<float>& values = {});
  // An int32 Const: shapes, axes, paddings.
  GraphBuilder& IntConst(const std::string& name, const Dims& dims,
                         const std::vector<int32_t>& values);
  GraphBuilder& Retval(const std::string& name, const std::string& input,
                       int dtype = kFloat);

  // A serialized FunctionDefLibrary.
  GraphBuilder& Library(const std::string& library);

  // The GraphDef, with a versions field. May be called again after more nodes.
  std::string Build() const;

 private:
  std::string nodes_;
  std::string library_;
  int num_args_ = 0;
  int num_retvals_ = 0;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_TESTING_GRAPH_BUILDER_H_
