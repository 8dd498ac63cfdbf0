// A view of consecutive values (std::span is C++20).
#ifndef GRAPPLER_GO_GRAPH_SPAN_H_
#define GRAPPLER_GO_GRAPH_SPAN_H_

#include <cstddef>

namespace grappler_go {

template <typename T>
class Span {
 public:
  Span(const T* data, size_t size) : data_(data), size_(size) {}
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  const T* data_;
  size_t size_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_SPAN_H_
