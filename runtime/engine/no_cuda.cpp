// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/model/errors.hpp"

namespace troupe {

namespace {

[[noreturn]] void refuse() {
  throw config_error("this build has no CUDA engine; use ./dev build cuda, or a cpu device");
}

}  // namespace

bool cuda_is_built() { return false; }

double measure_device_copy_bandwidth(std::size_t) { refuse(); }
double measure_device_matrix_rate(std::size_t) { refuse(); }

std::unique_ptr<executor> make_cuda_executor(model, const shard&, cuda_links, const engine_options&, std::size_t) {
  refuse();
}

}  // namespace troupe
