// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/cuda_executor.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "kernels/cpu/worker_pool.hpp"
#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/cuda_error.hpp"
#include "runtime/engine/cuda_sampler.hpp"
#include "runtime/engine/cuda_step.hpp"
#include "runtime/engine/engine_error.hpp"
#include "runtime/model/cuda_decoder.hpp"
#include "runtime/model/errors.hpp"

namespace troupe {

namespace {

/// Sizes of decode batches that have a graph; a batch in between is padded to the next.
constexpr std::array<std::size_t, 17> graph_sizes = {1,  2,  4,  8,   12,  16,  24,  32, 40,
                                                     48, 64, 96, 128, 160, 192, 224, 256};
/// A step that takes longer is one that will not end.
constexpr std::chrono::seconds step_deadline{60};
/// Left to the driver: graphs, module code, what the library allocates by itself.
constexpr std::uint64_t reserve_bytes = std::uint64_t{1} << 30;
constexpr double mib = 1024.0 * 1024.0;

void check_model(const model_config& config, const shard& part) {
  if (part.tensor_size != 1 || part.stages != 1)
    throw config_error("a group of several CUDA ranks is not built yet; use tensor 1 and pipeline 1");
  if (config.head_size != 64 && config.head_size != 128)
    throw config_error(
        fmt::format("the CUDA engine has attention for heads of 64 and 128; the model's have {}", config.head_size));
  if (config.heads / config.kv_heads > 16)
    throw config_error(fmt::format("{} query heads share a key/value head; the CUDA engine can do at most 16",
                                   config.heads / config.kv_heads));
  if (config.hidden_size % 8 != 0 || config.intermediate_size % 8 != 0)
    throw config_error(fmt::format("hidden size {} and intermediate size {} must be multiples of 8 on a CUDA device",
                                   config.hidden_size, config.intermediate_size));
}

void check_options(const engine_options& options) {
  if (options.block_tokens == 0 || options.block_tokens % 16 != 0 || options.block_tokens > 4096)
    throw config_error(fmt::format("block_tokens is {} and must be a multiple of 16 up to 4096", options.block_tokens));
  if (options.batch_tokens_max == 0 || options.batch_tokens_max > 65535)
    throw config_error(
        fmt::format("batch_tokens_max is {} and must be from 1 to 65535 on a CUDA device", options.batch_tokens_max));
}

/// One rank that is a whole model on one device. Decode batches run as graphs, captured while loading.
class cuda_executor final : public executor {
 public:
  cuda_executor(model source, engine_options options, std::size_t index)
      : model_(std::move(source)), options_(std::move(options)), device_(index) {}
  ~cuda_executor() override { graphs_.clear(); }

  load_report load(const load_progress& progress) override;
  step_result run(const step_plan& plan) override;
  bool samples() const override { return true; }
  void abort() noexcept override { stop_.store(true); }

 private:
  cuda_decoder_limits plan_memory() const;
  void enqueue_forward(const std::vector<applied_entry>& entries);
  void capture_graphs();
  void wait();

  const model model_;
  const engine_options options_;
  const cuda_device device_;
  std::atomic<bool> stop_{false};
  std::optional<cuda_decoder> decoder_;
  std::optional<sequence_table> sequences_;
  cuda_step step_;
  cuda_sampler sampler_;
  cuda_event done_;
  std::map<std::size_t, cuda_graph> graphs_;  // by size of batch
};

/// The least that is asked for must fit before anything is loaded; says what would.
cuda_decoder_limits cuda_executor::plan_memory() const {
  const auto& config = model_.config;
  cuda_decoder_limits limits{options_.batch_tokens_max, std::min(options_.batch_tokens_max, cuda_sequences_max),
                             options_.block_tokens, 1};
  const auto block_bytes = cuda_decoder::kv_bytes(config, limits);
  limits.blocks = options_.kv_blocks != 0 ? options_.kv_blocks : options_.kv_bytes / block_bytes;
  if (limits.blocks == 0)
    throw config_error(fmt::format("the KV cache of {} bytes is too small: one block of {} tokens takes {} bytes",
                                   options_.kv_bytes, options_.block_tokens, block_bytes));
  limits.blocks = std::min<std::size_t>(limits.blocks, 1U << 24);
  const cuda_step_limits step{options_.batch_tokens_max, options_.block_tokens, config.positions_max,
                              config.heads / config.kv_heads};
  const auto fixed = cuda_weight_bytes(config, {}) + cuda_decoder::activation_bytes(config, limits) +
                     cuda_step::bytes_for(step) + cuda_sampler::bytes_for(limits.logit_rows, config.vocabulary_size) +
                     reserve_bytes;
  const auto kv = cuda_decoder::kv_bytes(config, limits);
  const auto free = device_.free_bytes();
  if (fixed + kv > free)
    throw config_error(
        fmt::format("{} has {:.0f} MiB free; weights, activations and what the driver needs take {:.0f} MiB and the KV "
                    "cache {:.0f} "
                    "MiB: a KV cache of at most {:.0f} MiB would fit",
                    device_.name(), static_cast<double>(free) / mib, static_cast<double>(fixed) / mib,
                    static_cast<double>(kv) / mib, free > fixed ? static_cast<double>(free - fixed) / mib : 0.0));
  return limits;
}

load_report cuda_executor::load(const load_progress& progress) {
  device_.make_current();
  const auto& config = model_.config;
  const auto limits = plan_memory();
  worker_pool pool(std::max<std::size_t>(1, options_.threads));
  decoder_.emplace(config, load_cuda_weights(config, {}, *model_.weights, device_, pool, progress), device_, limits);
  step_ = cuda_step(
      {options_.batch_tokens_max, options_.block_tokens, config.positions_max, config.heads / config.kv_heads});
  sampler_ = cuda_sampler(limits.logit_rows, config.vocabulary_size);
  sequences_.emplace(sequence_limits{config.vocabulary_size, config.positions_max, options_.block_tokens, limits.blocks,
                                     options_.batch_tokens_max, true});
  capture_graphs();
  return {cuda_weight_bytes(config, {}), cuda_decoder::kv_bytes(config, limits),
          static_cast<std::uint32_t>(limits.blocks), static_cast<std::uint32_t>(options_.block_tokens)};
}

step_result cuda_executor::run(const step_plan& plan) {
  assert(decoder_ && "load comes before run");
  const auto start = std::chrono::steady_clock::now();
  if (stop_.load()) throw collective_error("the executor was aborted");
  device_.make_current();
  const auto& entries = sequences_->apply(plan);
  enqueue_forward(entries);
  step_result result{plan.epoch, plan.step, {}, 0};
  auto sampled = sampler_.take(step_.sampled());
  result.sampled.resize(sampled.size());
  for (std::size_t i = 0; i < sampled.size(); ++i)
    result.sampled[step_.sampled_order()[i]] = std::move(sampled[i]);
  auto token = result.sampled.begin();
  for (const auto& entry : entries)
    if (entry.sample) entry.sequence->sampled = (token++)->token;
  const auto busy = std::chrono::steady_clock::now() - start;
  result.busy_us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(busy).count());
  return result;
}

/// Ends when the step's tokens are on the host.
void cuda_executor::enqueue_forward(const std::vector<applied_entry>& entries) {
  const bool decodes =
      std::all_of(entries.begin(), entries.end(), [](const applied_entry& x) { return x.tokens == 1 && x.sample; });
  const auto size = std::lower_bound(graph_sizes.begin(), graph_sizes.end(), entries.size());
  const auto graph = decodes && !entries.empty() && size != graph_sizes.end() ? graphs_.find(*size) : graphs_.end();
  step_.fill(entries, graph != graphs_.end() ? graph->first : 0);
  if (step_.sampled().size() > cuda_sequences_max)
    throw engine_error(fmt::format("{} sequences are sampled in one step; the CUDA engine can do {}",
                                   step_.sampled().size(), cuda_sequences_max));
  step_.upload(device_.stream());
  sampler_.upload(step_.sampled(), device_.stream());
  if (graph != graphs_.end())
    graph->second.launch(device_.stream());
  else
    decoder_->enqueue(step_.batch(), device_.stream());
  sampler_.enqueue(decoder_->logits(), device_.stream());
  wait();
}

/// Of batches of padding only. Each size runs once before: that loads the kernels, which a capture must not.
void cuda_executor::capture_graphs() {
  const auto stream = device_.stream();
  decoder_->tune(stream);
  for (auto size : graph_sizes) {
    if (size > options_.batch_tokens_max) break;
    step_.fill({}, size);
    step_.upload(stream);
    decoder_->enqueue(step_.batch(), stream);
    wait();
    graphs_.emplace(size, cuda_graph::capture(stream, [&] { decoder_->enqueue(step_.batch(), stream); }));
  }
}

/// Looks, rather than blocks: an abort must get through, and a device that hangs must be noticed.
void cuda_executor::wait() {
  done_.record(device_.stream());
  const auto deadline = std::chrono::steady_clock::now() + step_deadline;
  while (!done_.done()) {
    if (stop_.load(std::memory_order_relaxed)) throw collective_error("the step was aborted");
    if (std::chrono::steady_clock::now() > deadline)
      throw cuda_error(fmt::format("{}: a step did not end within {} s", device_.name(), step_deadline.count()));
    std::this_thread::yield();
  }
}

}  // namespace

bool cuda_is_built() { return true; }

double measure_device_copy_bandwidth(std::size_t index) { return measure_copy_bandwidth(cuda_device(index)); }

std::unique_ptr<executor> make_cuda_executor(model source, const shard& part, group_communicators,
                                             const engine_options& options, std::size_t index) {
  check_model(source.config, part);
  check_options(options);
  return std::make_unique<cuda_executor>(std::move(source), options, index);
}

}  // namespace troupe
