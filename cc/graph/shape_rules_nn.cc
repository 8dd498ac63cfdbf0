// Shape rules of neural-network ops: convolutions, pooling, normalization,
// losses, recurrent cells, images. After tensorflow/core/ops/nn_ops.cc,
// image_ops.cc, rnn_ops.cc and tensorflow/core/framework/common_shape_fns.cc.
#include <string_view>

#include "cc/graph/inference_context.h"

namespace grappler_go {
namespace {

// Where batch, channels and space lie in the dimensions of an activation.
struct Layout {
  int rank;      // 4 or 5
  int channels;  // number of the channel dimension
  int space;     // number of the first spatial dimension
  bool known;    // a vectorized layout has other ranks: not followed
};

Layout LayoutOf(InferenceContext* c, int spatial_dims) {
  const std::string_view format = c->string_attr("data_format");
  if (format == "NCHW" || format == "NCDHW") {
    return {spatial_dims + 2, 1, 2, true};
  }
  const bool known = format.empty() || format == "NHWC" || format == "NDHWC";
  return {spatial_dims + 2, spatial_dims + 1, 1, known};
}

// One spatial size of a window op. explicit_at is the place of this dimension's
// pair in explicit_paddings.
int64_t WindowedSize(InferenceContext* c, int64_t size, int64_t window,
                     int64_t stride, int64_t dilation, int dim) {
  if (size < 0 || window <= 0 || stride <= 0 || dilation <= 0) return -1;
  const int64_t reach = AddDims(MulDims(window - 1, dilation), 1);
  const std::string_view padding = c->string_attr("padding");
  if (padding == "SAME") return size == 0 ? 0 : (size - 1) / stride + 1;
  if (padding == "EXPLICIT") {
    const IntValues explicit_paddings = c->int_list_attr("explicit_paddings");
    if (explicit_paddings.size() < 2 * dim + 2) return -1;
    size = AddDims(size, AddDims(explicit_paddings[2 * dim],
                                 explicit_paddings[2 * dim + 1]));
  } else if (padding != "VALID") {
    return -1;
  }
  if (size < 0 || reach < 0) return -1;
  return size < reach ? 0 : (size - reach) / stride + 1;
}

enum class ConvKind { kDense, kDepthwise };

template <int kSpatialDims, ConvKind kKind>
void ConvRule(InferenceContext* c) {
  const Layout layout = LayoutOf(c, kSpatialDims);
  const TensorShape& in = c->input(0);
  const TensorShape& filter = c->input(1);
  const IntValues strides = c->int_list_attr("strides");
  const IntValues dilations = c->int_list_attr("dilations");
  TensorShape out =
      layout.known ? TensorShape::OfRank(layout.rank) : TensorShape();
  if (in.rank() != layout.rank || filter.rank() != layout.rank ||
      strides.size() != layout.rank || !layout.known) {
    c->set_output(0, out, c->input_dtype(0));
    return;
  }
  out.set_dim(0, in.dim(0));
  for (int i = 0; i < kSpatialDims; ++i) {
    const int at = layout.space + i;
    const int64_t dilation = dilations.size() > at ? dilations[at] : 1;
    out.set_dim(at, WindowedSize(c, in.dim(at), filter.dim(i), strides[at],
                                 dilation, at));
  }
  // Filters are [space..., in, out] or, depthwise, [space..., in, multiplier].
  const int64_t last = filter.dim(-1);
  out.set_dim(layout.channels,
              kKind == ConvKind::kDense ? last : MulDims(filter.dim(-2), last));
  c->set_output(0, out, c->input_dtype(0));
}

// The gradient of a convolution's input: input_sizes, filter, out_backprop.
template <int kSpatialDims>
void ConvBackpropInputRule(InferenceContext* c) {
  TensorShape shape = c->shape_from_values(0);
  // Conv2DBackpropInput also takes the two spatial sizes alone.
  if (shape.rank() == kSpatialDims) {
    const Layout layout = LayoutOf(c, kSpatialDims);
    const TensorShape space = shape;
    shape = TensorShape::OfRank(layout.rank);
    for (int i = 0; i < kSpatialDims; ++i) {
      shape.set_dim(layout.space + i, space.dim(i));
    }
    if (c->input(1).rank() == layout.rank) {
      shape.set_dim(layout.channels, c->input(1).dim(-2));
    }
    if (c->input(2).rank() == layout.rank) {
      shape.set_dim(0, c->input(2).dim(0));
    }
    if (!layout.known) shape = TensorShape();
  }
  if (!shape.known_rank()) shape = TensorShape::OfRank(kSpatialDims + 2);
  c->set_output(0, shape, c->input_dtype(2));
}

// The gradient of a filter: input, filter_sizes, out_backprop.
template <int kSpatialDims>
void ConvBackpropFilterRule(InferenceContext* c) {
  TensorShape shape = c->shape_from_values(1);
  if (!shape.known_rank()) shape = TensorShape::OfRank(kSpatialDims + 2);
  c->set_output(0, shape, c->input_dtype(2));
}

template <int kSpatialDims>
void PoolRule(InferenceContext* c) {
  const Layout layout = LayoutOf(c, kSpatialDims);
  const IntValues window = c->int_list_attr("ksize");
  const IntValues strides = c->int_list_attr("strides");
  const TensorShape& in = c->input(0);
  TensorShape out =
      layout.known ? TensorShape::OfRank(layout.rank) : TensorShape();
  if (in.rank() == layout.rank && layout.known &&
      window.size() == layout.rank && strides.size() == layout.rank) {
    out = in;
    for (int i = 0; i < layout.rank; ++i) {
      if (window[i] == 1 && strides[i] == 1 && (i == 0 || i == layout.channels))
        continue;
      out.set_dim(i, WindowedSize(c, in.dim(i), window[i], strides[i], 1, i));
    }
  }
  c->set_output(0, out, c->input_dtype(0));
  c->set_output(1, out, c->type_attr("Targmax", dt::kInt64));
}

// The size of what was pooled is given by value, first.
void AvgPoolGradRule(InferenceContext* c) {
  c->set_output(0, c->shape_from_values(0), c->input_dtype(1));
}

// ---- Normalization

// Inputs x, scale, offset, mean, variance (x behind y_backprop in gradients).
template <int kImage>
void BatchNormRule(InferenceContext* c) {
  const TensorShape& x = c->input(kImage);
  const Layout layout = LayoutOf(c, x.rank() == 5 ? 3 : 2);
  const int dtype = c->input_dtype(kImage);
  const int scale_type = c->type_attr("U", c->input_dtype(kImage + 1));
  int64_t channels =
      x.rank() == layout.rank && layout.known ? x.dim(layout.channels) : -1;
  if (c->input(kImage + 1).rank() == 1) {
    channels = MergeDims(channels, c->input(kImage + 1).dim(0));
  }
  c->set_output(0, x, dtype);
  for (int i = 1; i < 5; ++i) {
    c->set_output(i, TensorShape::Of({channels}), scale_type);
  }
  if (kImage == 0) {
    // reserve_space_3: cuDNN's workspace, of whatever size; the CPU kernel's is
    // a scalar that nothing reads.
    c->set_output(5, TensorShape::Scalar(), scale_type);
    return;
  }
  // reserve_space_4 and 5 of gradients are empty.
  c->set_output(3, TensorShape::Of({0}), scale_type);
  c->set_output(4, TensorShape::Of({0}), scale_type);
  c->set_output(5, x, dtype);  // of _FusedBatchNormGradEx: the side input's
}

// ---- Losses and biases

void BiasAddGradRule(InferenceContext* c) {
  const TensorShape& shape = c->input(0);
  const bool channels_first = c->string_attr("data_format") == "NCHW";
  int64_t channels = -1;
  if (shape.rank() >= 2) channels = shape.dim(channels_first ? 1 : -1);
  c->set_output(0, TensorShape::Of({channels}), c->input_dtype(0));
}

void SoftmaxCrossEntropyRule(InferenceContext* c) {
  const TensorShape both = BroadcastShapes(c->input(0), c->input(1));
  const int64_t batch = both.rank() == 2 ? both.dim(0) : -1;
  c->set_output(0, TensorShape::Of({batch}), c->input_dtype(0));
  c->set_output(1, both, c->input_dtype(0));
}

void SparseSoftmaxCrossEntropyRule(InferenceContext* c) {
  const TensorShape& logits = c->input(0);
  const TensorShape& labels = c->input(1);
  int64_t batch = labels.rank() == 1 ? labels.dim(0) : -1;
  if (logits.rank() == 2) batch = MergeDims(batch, logits.dim(0));
  TensorShape backprop = logits;
  if (logits.rank() == 2) backprop.set_dim(0, batch);
  c->set_output(0, TensorShape::Of({batch}), c->input_dtype(0));
  c->set_output(1, backprop, c->input_dtype(0));
}

void CtcLossRule(InferenceContext* c) {
  const TensorShape& inputs = c->input(0);
  const int64_t batch = inputs.rank() == 3 ? inputs.dim(1) : -1;
  c->set_output(0, TensorShape::Of({batch}), c->input_dtype(0));
  c->set_output(1, inputs, c->input_dtype(0));
}

// ---- Recurrent cells

// x, cs_prev [batch, cell], ...: seven outputs like cs_prev.
void LstmCellRule(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->input(1), c->input_dtype(0));
  }
}

// seq_len_max, x [time, batch, in], cs_prev [batch, cell], ...
void BlockLstmRule(InferenceContext* c) {
  const TensorShape& x = c->input(1);
  const TensorShape& state = c->input(2);
  const TensorShape shape = TensorShape::Of(
      {x.rank() == 3 ? x.dim(0) : -1, x.rank() == 3 ? x.dim(1) : -1,
       state.rank() == 2 ? state.dim(1) : -1});
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, shape, c->input_dtype(1));
  }
}

// Gradients of x, cs_prev, h_prev, w, wci, wcf, wco, b, in inputs' order.
void BlockLstmGradRule(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->input(i + 1), c->input_dtype(i + 1));
  }
}

// x, h_prev, ...: r, u, c, h like h_prev.
void GruCellRule(InferenceContext* c) { LstmCellRule(c); }

// ---- Images

void SetImage(InferenceContext* c, int64_t height, int64_t width, int dtype) {
  const TensorShape& image = c->input(0);
  const bool known = image.rank() == 4;
  c->set_output(0,
                TensorShape::Of({known ? image.dim(0) : -1, height, width,
                                 known ? image.dim(3) : -1}),
                dtype);
}

// The new height and width are given by value, second.
void ResizeRule(InferenceContext* c) {
  const TensorShape size = c->shape_from_values(1);
  const bool known = size.rank() == 2;
  // Interpolation gives floats whatever it is fed; nearest neighbor and its
  // gradient give what they are fed.
  const bool nearest =
      c->graph().op(c->op()).find("Nearest") != std::string_view::npos;
  SetImage(c, known ? size.dim(0) : -1, known ? size.dim(1) : -1,
           nearest ? c->input_dtype(0) : dt::kFloat);
}

// Gradient, original image.
void ResizeGradRule(InferenceContext* c) {
  const TensorShape& original = c->input(1);
  const bool known = original.rank() == 4;
  SetImage(c, known ? original.dim(1) : -1, known ? original.dim(2) : -1,
           c->input_dtype(1));
}

// Image, boxes [n, 4], box indices, crop size.
void CropAndResizeRule(InferenceContext* c) {
  const TensorShape& image = c->input(0);
  const TensorShape& boxes = c->input(1);
  const TensorShape size = c->shape_from_values(3);
  const bool known = size.rank() == 2;
  c->set_output(
      0,
      TensorShape::Of({boxes.rank() == 2 ? boxes.dim(0) : -1,
                       known ? size.dim(0) : -1, known ? size.dim(1) : -1,
                       image.rank() == 4 ? image.dim(3) : -1}),
      dt::kFloat);
}

void ExtractImagePatchesRule(InferenceContext* c) {
  const TensorShape& in = c->input(0);
  const IntValues sizes = c->int_list_attr("ksizes");
  const IntValues strides = c->int_list_attr("strides");
  const IntValues rates = c->int_list_attr("rates");
  TensorShape out = TensorShape::OfRank(4);
  if (in.rank() == 4 && sizes.size() == 4 && strides.size() == 4 &&
      rates.size() == 4) {
    out.set_dim(0, in.dim(0));
    for (int i = 1; i < 3; ++i) {
      out.set_dim(
          i, WindowedSize(c, in.dim(i), sizes[i], strides[i], rates[i], i));
    }
    out.set_dim(3, MulDims(in.dim(3), MulDims(sizes[1], sizes[2])));
  }
  c->set_output(0, out, c->input_dtype(0));
}

void NonMaxSuppressionRule(InferenceContext* c) {
  c->set_output(0, TensorShape::OfRank(1), dt::kInt32);
}

constexpr RuleFamily kRules[] = {
    {UnchangedRule,
     "BiasAdd BiasAddV1 Elu LRN LRNGrad LeakyRelu LogSoftmax MaxPoolGrad "
     "MaxPool3DGrad Relu Relu6 Selu Softmax Softplus Softsign _MklLayerNorm "
     "_MklFusedInstanceNorm"},
    {ConvRule<2, ConvKind::kDense>, "Conv2D _FusedConv2D"},
    {ConvRule<3, ConvKind::kDense>, "Conv3D _FusedConv3D"},
    {ConvRule<2, ConvKind::kDepthwise>,
     "DepthwiseConv2dNative _FusedDepthwiseConv2dNative"},
    {ConvBackpropInputRule<2>,
     "Conv2DBackpropInput DepthwiseConv2dNativeBackpropInput"},
    {ConvBackpropInputRule<3>, "Conv3DBackpropInputV2"},
    {ConvBackpropFilterRule<2>,
     "Conv2DBackpropFilter DepthwiseConv2dNativeBackpropFilter"},
    {ConvBackpropFilterRule<3>, "Conv3DBackpropFilterV2"},
    {PoolRule<2>, "AvgPool MaxPool MaxPoolWithArgmax"},
    {PoolRule<3>, "AvgPool3D MaxPool3D"},
    {AvgPoolGradRule, "AvgPool3DGrad AvgPoolGrad"},
    {BatchNormRule<0>,
     "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedBatchNormEx"},
    {BatchNormRule<1>,
     "FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3 "
     "_FusedBatchNormGradEx"},
    {BiasAddGradRule, "BiasAddGrad"},
    {SoftmaxCrossEntropyRule, "SoftmaxCrossEntropyWithLogits"},
    {SparseSoftmaxCrossEntropyRule, "SparseSoftmaxCrossEntropyWithLogits"},
    {CtcLossRule, "CTCLoss CTCLossV2"},
    {LstmCellRule, "LSTMBlockCell"},
    {GruCellRule, "GRUBlockCell"},
    {BlockLstmRule, "BlockLSTM BlockLSTMV2"},
    {BlockLstmGradRule, "BlockLSTMGrad BlockLSTMGradV2"},
    {ResizeRule,
     "ResizeBicubic ResizeBilinear ResizeNearestNeighbor "
     "ResizeNearestNeighborGrad"},
    {ResizeGradRule, "ResizeBicubicGrad ResizeBilinearGrad"},
    {CropAndResizeRule, "CropAndResize"},
    {ExtractImagePatchesRule, "ExtractImagePatches"},
    {NonMaxSuppressionRule, "NonMaxSuppressionV3"},
};

}  // namespace

Span<RuleFamily> NnRules() {
  return {kRules, sizeof(kRules) / sizeof(kRules[0])};
}

}  // namespace grappler_go
