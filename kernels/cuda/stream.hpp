// SPDX-License-Identifier: Apache-2.0
#pragma once

struct CUstream_st;

namespace troupe {

/// A CUDA stream that somebody else owns; what runtime/ can name without the CUDA headers.
using cuda_stream = CUstream_st*;

}  // namespace troupe
