// numpy arrays over memory of ours, and copies.
#ifndef GRAPPLER_GO_BINDINGS_ARRAYS_H_
#define GRAPPLER_GO_BINDINGS_ARRAYS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <utility>
#include <vector>

namespace grappler_go {

inline void MakeReadOnly(pybind11::array* array) {
  pybind11::detail::array_proxy(array->ptr())->flags &=
      ~pybind11::detail::npy_api::NPY_ARRAY_WRITEABLE_;
}

// A read-only array over `data`, which lives as long as `owner`; the array's
// base object holds a share of it. `strides` are in bytes.
template <typename T>
pybind11::array View(const T* data, std::vector<pybind11::ssize_t> shape,
                     std::vector<pybind11::ssize_t> strides,
                     std::shared_ptr<const void> owner) {
  using Owner = std::shared_ptr<const void>;
  auto keep = std::make_unique<Owner>(std::move(owner));
  pybind11::capsule base(keep.get(),
                         [](void* p) { delete static_cast<Owner*>(p); });
  keep.release();
  pybind11::array_t<T> array(std::move(shape), std::move(strides), data, base);
  MakeReadOnly(&array);
  return array;
}

// The same over a whole vector, of that shape.
template <typename T>
pybind11::array View(const std::vector<T>& values,
                     std::shared_ptr<const void> owner,
                     std::vector<pybind11::ssize_t> shape) {
  std::vector<pybind11::ssize_t> strides(shape.size(), sizeof(T));
  for (size_t k = shape.size(); k-- > 1;) {
    strides[k - 1] = strides[k] * shape[k];
  }
  return View(values.data(), std::move(shape), std::move(strides),
              std::move(owner));
}

// As rows of `columns` values where given, else flat.
template <typename T>
pybind11::array View(const std::vector<T>& values,
                     std::shared_ptr<const void> owner,
                     pybind11::ssize_t columns = 0) {
  const auto size = static_cast<pybind11::ssize_t>(values.size());
  using Shape = std::vector<pybind11::ssize_t>;
  return View(values, std::move(owner),
              columns == 0 ? Shape{size} : Shape{size / columns, columns});
}

// A read-only array that owns its values.
template <typename T>
pybind11::array Owned(std::vector<T> values) {
  auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  return View(*owner, owner);
}

}  // namespace grappler_go

#endif  // GRAPPLER_GO_BINDINGS_ARRAYS_H_
