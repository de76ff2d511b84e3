// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// out[m][n] (+)= sum over k of x[m][k] * weight[n][k] (+ bias[n]), on tensor cores with float32 sums. All device
/// memory, rows without gaps.
struct gemm_call {
  const bf16* x;               ///< [m, k]
  const bf16* weight;          ///< [n, k]
  const bf16* bias = nullptr;  ///< [n], with a bf16 out only
  void* out;                   ///< [m, n]
  dtype out_type;
  bool accumulate = false;  ///< adds to what is there; with a float32 out only
  std::size_t m, n, k;
};

/// cuBLASLt, with the algorithm of each shape chosen by time: the first time it meets (n, k, bucket of m) it runs what
/// the library proposes against cold caches and remembers the fastest. That first time must not be inside a capture.
class gemm_library {
 public:
  gemm_library();
  gemm_library(const gemm_library&) = delete;
  gemm_library& operator=(const gemm_library&) = delete;
  ~gemm_library();

  void run(const gemm_call& call, cuda_stream stream);

  /// Times candidates for the call's shape now, unless that is known. Waits for the stream.
  void tune(const gemm_call& call, cuda_stream stream);

  /// What tune has chosen so far, as bytes to be kept for a later process.
  std::vector<std::byte> choices() const;
  /// Takes such bytes over; does nothing and returns false where they come from another kind of device or another
  /// version of the library, or are damaged.
  bool take_choices(std::span<const std::byte> bytes);

  /// Device memory that it holds.
  static std::size_t workspace_bytes();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Operations a second that the library reaches with a product of 8192 x 8192 x 8192 of random bfloat16 values: the
/// best of some. Takes 0.7 GB of device memory.
double measure_matrix_rate(const cuda_device& device);

}  // namespace troupe
