// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/gemm.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <cublasLt.h>

#include "kernels/cuda/check.cuh"
#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/random_fill.hpp"

namespace troupe {

namespace {

constexpr std::size_t work_bytes = std::size_t{64} << 20;
/// Written between two timed runs, so that weights are read from memory as in a step: more than a second-level cache.
constexpr std::size_t flush_bytes = std::size_t{128} << 20;
constexpr int candidates_max = 12;
constexpr int repetitions = 5;

void check(cublasStatus_t status, const char* attempted) {
  if (status != CUBLAS_STATUS_SUCCESS) throw cuda_error(std::string(attempted) + ": " + cublasLtGetStatusName(status));
}

struct destroyer {
  void operator()(cublasLtMatmulDesc_t x) const { cublasLtMatmulDescDestroy(x); }
  void operator()(cublasLtMatrixLayout_t x) const { cublasLtMatrixLayoutDestroy(x); }
  void operator()(cublasLtMatmulPreference_t x) const { cublasLtMatmulPreferenceDestroy(x); }
  void operator()(cudaEvent_t x) const { cudaEventDestroy(x); }
};
template <class T>
using handle = std::unique_ptr<std::remove_pointer_t<T>, destroyer>;

handle<cublasLtMatrixLayout_t> make_layout(cudaDataType_t type, std::size_t rows, std::size_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type, rows, columns, static_cast<std::int64_t>(rows)), "gemm: layout");
  return handle<cublasLtMatrixLayout_t>(layout);
}

/// The library is column-major: out^T [n x m] = weight^T' * x^T, so weight is the transposed k x n matrix.
struct problem {
  explicit problem(const gemm_call& call)
      : weight(make_layout(CUDA_R_16BF, call.k, call.n)),
        x(make_layout(CUDA_R_16BF, call.k, call.m)),
        out(make_layout(call.out_type == dtype::bf16 ? CUDA_R_16BF : CUDA_R_32F, call.n, call.m)) {
    cublasLtMatmulDesc_t made = nullptr;
    check(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F), "gemm: description");
    description.reset(made);
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulDescSetAttribute(made, attribute, &value, sizeof value), "gemm: attribute");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
    if (call.bias != nullptr) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(call.bias));
    }
  }

  handle<cublasLtMatmulDesc_t> description;
  handle<cublasLtMatrixLayout_t> weight, x, out;
};

/// Rows up to which one algorithm serves: every power of two, so that what is timed is near what is run.
std::size_t bucket_of(std::size_t m) { return std::bit_ceil(m); }

using shape_key = std::tuple<std::size_t, std::size_t, std::size_t, dtype, bool, bool>;

shape_key key_of(const gemm_call& call) {
  return {call.n, call.k, bucket_of(call.m), call.out_type, call.bias != nullptr, call.accumulate};
}

std::vector<cublasLtMatmulHeuristicResult_t> propose(cublasLtHandle_t library, const problem& what, int most) {
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "gemm: preference");
  const handle<cublasLtMatmulPreference_t> preference(made);
  check(cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &work_bytes,
                                             sizeof work_bytes),
        "gemm: preference");
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(library, what.description.get(), what.weight.get(), what.x.get(), what.out.get(),
                                       what.out.get(), made, most, found.data(), &count),
        "gemm: choosing an algorithm");
  found.resize(static_cast<std::size_t>(count));
  return found;
}

/// One choice as it is kept. Written and read by the same build, so plain memory.
struct kept_choice {
  std::uint64_t n, k, bucket;
  std::uint32_t out_type, bias, accumulate, unused;
  cublasLtMatmulAlgo_t algorithm;
};

struct kept_header {
  std::uint64_t magic = 0x32736d6d65677274;  // "trgemms2"; a new number for choices made in another way
  std::uint64_t library = 0, device = 0, count = 0, checksum = 0;
};

std::uint64_t hash_of(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (auto byte : bytes)
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  return hash;
}

/// Of the current device: choices are worth keeping only for its kind.
std::uint64_t device_hash() {
  int device = 0;
  cudaDeviceProp properties{};
  troupe::check(cudaGetDevice(&device), "gemm: device");
  troupe::check(cudaGetDeviceProperties(&properties, device), "gemm: device");
  const std::string name = properties.name + std::to_string(properties.multiProcessorCount);
  return hash_of(std::as_bytes(std::span(name)));
}

}  // namespace

struct gemm_library::state {
  cublasLtHandle_t library = nullptr;
  device_buffer workspace{work_bytes};
  std::map<shape_key, cublasLtMatmulAlgo_t> chosen;

  state() { check(cublasLtCreate(&library), "cuBLASLt"); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;
  ~state() { cublasLtDestroy(library); }

  cublasStatus_t enqueue(const problem& what, const gemm_call& call, void* out, const cublasLtMatmulAlgo_t& algorithm,
                         cuda_stream stream) {
    const float one = 1, beta = call.accumulate ? 1 : 0;
    return cublasLtMatmul(library, what.description.get(), &one, call.weight, what.weight.get(), call.x, what.x.get(),
                          &beta, out, what.out.get(), out, what.out.get(), &algorithm, workspace.data(), work_bytes,
                          stream);
  }

  /// Best of some runs, in milliseconds; infinite where the algorithm does not do it.
  float time(const problem& what, const gemm_call& call, void* out, void* flush, const cublasLtMatmulAlgo_t& algorithm,
             cuda_stream stream) {
    cudaEvent_t made[2];
    for (auto& event : made)
      troupe::check(cudaEventCreate(&event), "gemm: event");
    const handle<cudaEvent_t> begin(made[0]), end(made[1]);
    auto best = std::numeric_limits<float>::infinity();
    for (int i = 0; i < repetitions; ++i) {
      troupe::check(cudaMemsetAsync(flush, i, flush_bytes, stream), "gemm: flush");
      troupe::check(cudaEventRecord(begin.get(), stream), "gemm: event");
      if (enqueue(what, call, out, algorithm, stream) != CUBLAS_STATUS_SUCCESS) return best;
      troupe::check(cudaEventRecord(end.get(), stream), "gemm: event");
      troupe::check(cudaEventSynchronize(end.get()), "gemm: timing");
      float milliseconds = 0;
      troupe::check(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), "gemm: timing");
      if (i > 0) best = std::min(best, milliseconds);
    }
    return best;
  }
};

gemm_library::gemm_library() : state_(std::make_unique<state>()) {}
gemm_library::~gemm_library() = default;

std::size_t gemm_library::workspace_bytes() { return work_bytes; }

void gemm_library::tune(const gemm_call& call, cuda_stream stream) {
  if (state_->chosen.contains(key_of(call))) return;
  const problem what(call);
  const auto proposed = propose(state_->library, what, candidates_max);
  if (proposed.empty())
    throw cuda_error("gemm: cuBLASLt has nothing for m " + std::to_string(call.m) + ", n " + std::to_string(call.n) +
                     ", k " + std::to_string(call.k));
  // The timed runs write beside the real output, which an accumulating call must not touch.
  const device_buffer out(call.m * call.n * size_of(call.out_type)), flush(flush_bytes);
  auto best = std::numeric_limits<float>::infinity();
  auto chosen = proposed.front().algo;
  for (const auto& candidate : proposed) {
    const auto took = state_->time(what, call, out.data(), flush.data(), candidate.algo, stream);
    if (took >= best) continue;
    best = took;
    chosen = candidate.algo;
  }
  state_->chosen.emplace(key_of(call), chosen);
}

std::vector<std::byte> gemm_library::choices() const {
  std::vector<kept_choice> kept;
  for (const auto& [key, algorithm] : state_->chosen) {
    const auto& [n, k, bucket, type, bias, accumulate] = key;
    kept.push_back({n, k, bucket, static_cast<std::uint32_t>(type), bias, accumulate, 0, algorithm});
  }
  const auto body = std::as_bytes(std::span(kept));
  const kept_header header{
      .library = cublasLtGetVersion(), .device = device_hash(), .count = kept.size(), .checksum = hash_of(body)};
  std::vector<std::byte> bytes(sizeof header + body.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::copy(body.begin(), body.end(), bytes.begin() + sizeof header);
  return bytes;
}

bool gemm_library::take_choices(std::span<const std::byte> bytes) {
  kept_header header, expected;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto body = bytes.subspan(sizeof header);
  if (header.magic != expected.magic || header.library != cublasLtGetVersion() || header.device != device_hash() ||
      body.size() % sizeof(kept_choice) != 0 || header.count != body.size() / sizeof(kept_choice) ||
      header.checksum != hash_of(body))
    return false;
  std::vector<kept_choice> kept(header.count);
  std::memcpy(kept.data(), body.data(), body.size());
  for (const auto& x : kept)
    state_->chosen.try_emplace(
        shape_key{x.n, x.k, x.bucket, static_cast<dtype>(x.out_type), x.bias != 0, x.accumulate != 0}, x.algorithm);
  return true;
}

void gemm_library::run(const gemm_call& call, cuda_stream stream) {
  if (call.m == 0 || call.n == 0) return;
  tune(call, stream);
  const problem what(call);
  auto status = state_->enqueue(what, call, call.out, state_->chosen.at(key_of(call)), stream);
  // What is best for a full bucket may not do a smaller number of rows.
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE)
    status = state_->enqueue(what, call, call.out, propose(state_->library, what, 1).at(0).algo, stream);
  check(status, "gemm");
}

double measure_matrix_rate(const cuda_device& device) {
  constexpr std::size_t n = 8192;
  constexpr int repetitions = 25;
  const device_buffer x(n * n * sizeof(bf16)), weight(n * n * sizeof(bf16)), out(n * n * sizeof(bf16));
  const auto stream = device.stream();
  std::uint32_t seed = 1;
  for (const auto* matrix : {&x, &weight})
    random_fill_cuda(seed++, 0, n, 0, 1, n, n, matrix->as<bf16>(), stream);
  gemm_library library;
  const gemm_call call{.x = x.as<bf16>(),
                       .weight = weight.as<bf16>(),
                       .out = out.data(),
                       .out_type = dtype::bf16,
                       .m = n,
                       .n = n,
                       .k = n};
  double best = 0;
  for (int i = 0; i < repetitions; ++i) {
    cuda_event begin, end;
    begin.record(stream);
    library.run(call, stream);
    end.record(stream);
    end.synchronize();
    best = std::max(best, 2.0 * n * n * n / (end.milliseconds_since(begin) * 1e-3));
  }
  return best;
}

}  // namespace troupe
