// Shape rules of what feeds and steers a graph: arguments, constants,
// variables, control flow, calls, random numbers, tensor lists.
#include <string_view>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

constexpr int kRefOffset = 100;  // reference dtypes: types.proto

int RefTo(int dtype) { return dtype == 0 ? 0 : dtype + kRefOffset; }

// ---- Sources

void ArgRule(InferenceContext* c) {
  const int dtype = c->type_attr("T");
  if (dtype == dt::kResource) {
    const std::vector<TensorShape> shapes =
        c->shape_list_attr("_handle_shapes");
    const std::vector<int> dtypes = c->type_list_attr("_handle_dtypes");
    if (shapes.size() == 1 && dtypes.size() == 1) {
      c->set_handle({shapes[0], dtypes[0]});
    }
    c->set_output(0, TensorShape::Scalar(), dtype);
    return;
  }
  const std::vector<TensorShape> shapes = c->shape_list_attr("_output_shapes");
  c->set_output(0, shapes.size() == 1 ? shapes[0] : TensorShape(), dtype);
}

void PlaceholderRule(InferenceContext* c) {
  c->set_output(0, c->shape_attr("shape"), c->type_attr("dtype"));
}

void ConstRule(InferenceContext* c) {
  const ParsedTensor tensor = ParseTensor(c->tensor_attr("value"));
  c->set_output(0, tensor.shape, c->type_attr("dtype", tensor.dtype));
  if (tensor.values.known()) c->set_values(0, tensor.values.span());
}

void VarHandleRule(InferenceContext* c) {
  c->set_handle({c->shape_attr("shape"), c->type_attr("dtype")});
  c->set_output(0, TensorShape::Scalar(), dt::kResource);
}

// ---- Variables

void ReadVariableRule(InferenceContext* c) {
  const HandleData* handle = c->handle();
  int dtype = c->type_attr("dtype");
  if (dtype == 0 && handle != nullptr) dtype = handle->dtype;
  c->set_output(0, handle != nullptr ? handle->shape : TensorShape(), dtype);
}

void ScalarBoolRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kBool);
}

// TF1's reference variables: the output is a reference to the first input.
void RefVariableRule(InferenceContext* c) {
  c->set_output(0, c->shape_attr("shape"), RefTo(c->type_attr("dtype")));
}

void RefUpdateRule(InferenceContext* c) {
  c->set_output(0, c->input(0), RefTo(c->input_dtype(0)));
}

// What the reference was of, as a tensor like others.
void DestroyTemporaryRule(InferenceContext* c) {
  const int dtype = c->input_dtype(0);
  c->set_output(
      0, c->input(0),
      c->type_attr("T", dtype > kRefOffset ? dtype - kRefOffset : dtype));
}

// ref, value: Assign gives the variable the value's shape.
void RefAssignRule(InferenceContext* c) {
  c->set_output(0, c->input(1), RefTo(c->input_dtype(0)));
}

// ---- Control flow

// Enter, Exit and NextIteration pass their input on like Identity. Values may
// cross into a loop: what changes with the iterations comes from a Merge, which
// passes on none.
void IdentityRule(InferenceContext* c) {
  UnchangedRule(c);
  if (c->has_values(0)) c->set_values(0, IntValues(c->values(0)).span());
}

void IdentityNRule(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->input(i), c->input_dtype(i));
  }
}

// Every output is the first input.
void SwitchRule(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->input(0), c->input_dtype(0));
  }
}

void MergeRule(InferenceContext* c) {
  TensorShape shape;
  int dtype = 0;
  bool first = true, loop = false;
  for (int i = 0; i < c->num_inputs(); ++i) {
    if (c->is_back_edge(i)) {
      loop = true;
      continue;
    }
    shape = first ? c->input(i) : CommonShape(shape, c->input(i));
    if (dtype == 0) dtype = c->input_dtype(i);
    first = false;
  }
  if (loop && c->loop_shape() != nullptr) {
    shape = CommonShape(shape, *c->loop_shape());
  }
  c->set_output(0, shape, dtype);
  c->set_output(1, TensorShape::Scalar(), dt::kInt32);
}

// Their reference-typed kin.
template <ShapeRule rule>
void RefRule(InferenceContext* c) {
  rule(c);
  const int outputs = rule == MergeRule ? 1 : c->num_outputs();
  for (int i = 0; i < outputs; ++i) c->set_dtype(i, RefTo(c->input_dtype(0)));
}

// ---- Calls, iterators: what their attributes promise

template <const char* kTypes>
void PromisedRule(InferenceContext* c) {
  const std::vector<int> types = c->type_list_attr(kTypes);
  std::vector<TensorShape> shapes = c->shape_list_attr("output_shapes");
  const auto outputs = static_cast<size_t>(c->num_outputs());
  if (shapes.size() != outputs) shapes.assign(outputs, TensorShape());
  for (size_t i = 0; i < outputs && types.size() == outputs; ++i) {
    const bool resource = types[i] == dt::kResource || types[i] == dt::kVariant;
    // A resource's promised shape may be that of what it holds.
    c->set_output(static_cast<int>(i), resource ? TensorShape() : shapes[i],
                  types[i]);
  }
}
constexpr char kT[] = "T", kTout[] = "Tout", kOutputTypes[] = "output_types";

// ---- Random numbers

// The shape is given by value as input kInput; the dtype by the attribute.
template <int kInput>
void RandomRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(kInput),
                c->type_attr("dtype", c->type_attr("Tout")));
}

// One draw for each element of a parameter: shape + parameter's shape.
void RandomPerParameterRule(InferenceContext* c) {
  c->set_output(0, Concatenated(c->shape_from_values(0), c->input(1)),
                c->type_attr("dtype", c->input_dtype(1)));
}

void MultinomialRule(InferenceContext* c) {
  const TensorShape& logits = c->input(0);
  c->set_output(
      0,
      TensorShape::Of({logits.rank() == 2 ? logits.dim(0) : -1, c->scalar(1)}),
      c->type_attr("output_dtype", dt::kInt64));
}

// Key [1], counter [2], algorithm.
void KeyCounterRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Of({1}), dt::kUint64);
  c->set_output(1, TensorShape::Of({2}), dt::kUint64);
  c->set_output(2, TensorShape::Scalar(), dt::kInt32);
}

void RngAlgRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kInt32);
}

void RngReadAndSkipRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Of({3}), dt::kInt64);
}

void CandidateSamplerRule(InferenceContext* c) {
  const int64_t sampled = c->int_attr("num_sampled", -1);
  const TensorShape& classes = c->input(0);
  c->set_output(0, TensorShape::Of({sampled}), dt::kInt64);
  c->set_output(1,
                TensorShape::Of({classes.rank() == 2 ? classes.dim(0) : -1,
                                 c->int_attr("num_true", -1)}),
                dt::kFloat);
  c->set_output(2, TensorShape::Of({sampled}), dt::kFloat);
}

// ---- Tensor lists and arrays: lists are scalars, their elements have the
// shape that the op is told.

void ListRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kVariant);
}

void ScalarInt32Rule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kInt32);
}

void ListGetItemRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(2), c->type_attr("element_dtype"));
}

void ListPopBackRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kVariant);
  c->set_output(1, c->shape_from_values(1), c->type_attr("element_dtype"));
}

void ListStackRule(InferenceContext* c) {
  c->set_output(0,
                Concatenated(TensorShape::Of({c->int_attr("num_elements", -1)}),
                             c->shape_from_values(1)),
                c->type_attr("element_dtype"));
}

void ListGatherRule(InferenceContext* c) {
  const TensorShape& indices = c->input(1);
  c->set_output(
      0,
      Concatenated(TensorShape::Of({indices.rank() == 1 ? indices.dim(0) : -1}),
                   c->shape_from_values(2)),
      c->type_attr("element_dtype"));
}

void ListConcatRule(InferenceContext* c) {
  c->set_output(0, TensorShape(), c->type_attr("element_dtype"));
  c->set_output(1, TensorShape::OfRank(1), dt::kInt64);
}

// Handle and flow.
void TensorArrayRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Of({2}), dt::kResource);
  c->set_output(1, TensorShape::Scalar(), dt::kFloat);
}

void FlowRule(InferenceContext* c) {
  c->set_output(0, TensorShape::Scalar(), dt::kFloat);
}

void TensorArrayReadRule(InferenceContext* c) {
  c->set_output(0, TensorShape(), c->type_attr("dtype"));
}

void TensorArrayGatherRule(InferenceContext* c) {
  const TensorShape& indices = c->input(1);
  c->set_output(
      0,
      Concatenated(TensorShape::Of({indices.rank() == 1 ? indices.dim(0) : -1}),
                   c->shape_attr("element_shape")),
      c->type_attr("dtype"));
}

constexpr RuleFamily kRules[] = {
    {ArgRule, "_Arg"},
    {PlaceholderRule, "Placeholder PlaceholderWithDefault"},
    {ConstRule, "Const"},
    {PlaceholderRule, "FakeParam"},
    {VarHandleRule, "VarHandleOp"},
    {ReadVariableRule, "ReadVariableOp"},
    {ScalarBoolRule, "IsVariableInitialized VarIsInitializedOp"},
    {RefVariableRule, "TemporaryVariable Variable VariableV2"},
    {DestroyTemporaryRule, "DestroyTemporaryVariable"},
    {RefAssignRule, "Assign"},
    {RefUpdateRule,
     "ApplyAdadelta ApplyAdagrad ApplyAdam ApplyFtrl ApplyGradientDescent "
     "ApplyMomentum ApplyRMSProp AssignAdd AssignSub ScatterAdd ScatterSub "
     "ScatterUpdate"},
    {IdentityRule, "Enter Exit Identity LoopCond NextIteration"},
    {UnchangedRule, "RandomShuffle"},
    {IdentityNRule, "IdentityN"},
    {SwitchRule, "Switch _SwitchN"},
    {MergeRule, "Merge"},
    {RefRule<UnchangedRule>, "RefEnter RefExit RefNextIteration RefIdentity"},
    {RefRule<SwitchRule>, "RefSwitch"},
    {RefRule<MergeRule>, "RefMerge"},
    {PromisedRule<kTout>,
     "Case If StatelessCase StatelessIf PartitionedCall "
     "StatefulPartitionedCall"},
    {PromisedRule<kT>, "StatelessWhile While"},
    {PromisedRule<kOutputTypes>, "IteratorGetNext"},
    {RandomRule<0>,
     "RandomStandardNormal RandomUniform RandomUniformInt "
     "StatelessRandomNormal "
     "StatelessRandomNormalV2 StatelessRandomUniform "
     "StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 "
     "StatelessRandomUniformInt StatelessRandomUniformIntV2 "
     "StatelessRandomUniformV2 StatelessTruncatedNormal "
     "StatelessTruncatedNormalV2 StatelessRandomPoisson TruncatedNormal"},
    {RandomRule<2>,
     "StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform "
     "StatefulUniformFullInt StatefulUniformInt"},
    {RandomPerParameterRule, "RandomGamma RandomPoissonV2"},
    {MultinomialRule, "Multinomial StatelessMultinomial"},
    {KeyCounterRule,
     "StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg"},
    {RngAlgRule, "StatelessRandomGetAlg"},
    {RngReadAndSkipRule, "RngReadAndSkip"},
    {CandidateSamplerRule,
     "LogUniformCandidateSampler UniformCandidateSampler"},
    {ListRule,
     "EmptyTensorList TensorListFromTensor TensorListPushBack "
     "TensorListReserve TensorListScatterV2 TensorListSetItem TensorListSplit"},
    {ScalarInt32Rule, "TensorListLength TensorArraySizeV3"},
    {ListGetItemRule, "TensorListGetItem"},
    {ListPopBackRule, "TensorListPopBack"},
    {ListStackRule, "TensorListStack"},
    {ListGatherRule, "TensorListGather"},
    {ListConcatRule, "TensorListConcatV2"},
    {TensorArrayRule, "TensorArrayV3"},
    {FlowRule, "TensorArrayScatterV3 TensorArraySplitV3 TensorArrayWriteV3"},
    {TensorArrayReadRule, "TensorArrayReadV3"},
    {TensorArrayGatherRule, "TensorArrayGatherV3"},
};

}  // namespace

Span<RuleFamily> StateRules() {
  return {kRules, sizeof(kRules) / sizeof(kRules[0])};
}

}  // namespace grappler_go
