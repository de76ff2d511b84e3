// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <type_traits>

#include "kernels/dtype.hpp"

namespace troupe {

/// A view of a row-major matrix (a vector is one row); owns nothing. `Void` is void or const void.
template <class Void>
struct basic_tensor {
  template <class T>
  using like = std::conditional_t<std::is_const_v<Void>, const T, T>;

  Void* data = nullptr;
  dtype type = dtype::f32;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  ///< elements between the starts of two rows

  basic_tensor() = default;
  template <class T>
  basic_tensor(T* first, std::size_t row_count, std::size_t column_count)
      : basic_tensor(first, row_count, column_count, column_count) {}
  template <class T>
  basic_tensor(T* first, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(first),
        type(dtype_of_type<std::remove_const_t<T>>::value),
        rows(row_count),
        columns(column_count),
        stride(row_stride) {}

  /// A tensor converts to a view that cannot write.
  operator basic_tensor<const void>() const requires(!std::is_const_v<Void>) {
    basic_tensor<const void> view;
    view.data = data, view.type = type, view.rows = rows, view.columns = columns, view.stride = stride;
    return view;
  }

  bool empty() const { return data == nullptr; }

  template <class T>
  like<T>* row(std::size_t index) const {
    assert(dtype_of_type<T>::value == type && index < rows);
    return static_cast<like<T>*>(data) + index * stride;
  }

  basic_tensor row_range(std::size_t first, std::size_t count) const {
    assert(first + count <= rows);
    auto view = *this;
    view.data = static_cast<like<std::byte>*>(data) + first * stride * size_of(type);
    view.rows = count;
    return view;
  }

  basic_tensor first_rows(std::size_t count) const { return row_range(0, count); }

  basic_tensor column_range(std::size_t first, std::size_t count) const {
    assert(first + count <= columns);
    auto view = *this;
    view.data = static_cast<like<std::byte>*>(data) + first * size_of(type);
    view.columns = count;
    return view;
  }
};

using tensor = basic_tensor<void>;
using const_tensor = basic_tensor<const void>;

}  // namespace troupe
