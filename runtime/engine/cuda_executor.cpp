// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/cuda_executor.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "kernels/cpu/worker_pool.hpp"
#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/cuda_error.hpp"
#include "kernels/cuda/profiler_range.hpp"
#include "runtime/engine/cuda_sampler.hpp"
#include "runtime/engine/cuda_step.hpp"
#include "runtime/engine/engine_error.hpp"
#include "runtime/engine/kept_file.hpp"
#include "runtime/model/cuda_decoder.hpp"
#include "runtime/model/cuda_tensor_link.hpp"
#include "runtime/model/errors.hpp"

namespace troupe {

namespace {

/// Sizes of decode batches that have a graph; a batch in between is padded to the next.
constexpr std::array<std::size_t, 17> graph_sizes = {1,  2,  4,  8,   12,  16,  24,  32, 40,
                                                     48, 64, 96, 128, 160, 192, 224, 256};
/// Left to the driver: graphs, module code, what the library allocates by itself.
constexpr std::uint64_t reserve_bytes = std::uint64_t{1} << 30;
/// What NCCL takes for its channels, about.
constexpr std::uint64_t library_bytes = std::uint64_t{512} << 20;

/// Query heads that share a key/value head.
std::size_t heads_of_group(const shard_layout& layout) { return layout.heads.count / layout.kv_heads.count; }

void check_model(const model_config& config, const shard& part) {
  const auto layout = make_layout(config, part);
  if (config.head_size != 64 && config.head_size != 128)
    throw config_error(
        fmt::format("the CUDA engine has attention for heads of 64 and 128; the model's have {}", config.head_size));
  if (heads_of_group(layout) > 16)
    throw config_error(fmt::format("{} query heads share a key/value head; the CUDA engine can do at most 16",
                                   heads_of_group(layout)));
  if (config.hidden_size % 8 != 0 || layout.intermediate.count % 8 != 0)
    throw config_error(
        fmt::format("hidden size {} and a rank's part of the intermediate size, {}, must be multiples of 8 on a CUDA "
                    "device",
                    config.hidden_size, layout.intermediate.count));
  if (layout.vocabulary.count == 0)
    throw config_error(fmt::format("a vocabulary of {} leaves tensor rank {} of {} without a part",
                                   config.vocabulary_size, part.tensor_rank, part.tensor_size));
}

void check_options(const engine_options& options) {
  if (options.block_tokens == 0 || options.block_tokens % 16 != 0 || options.block_tokens > 4096)
    throw config_error(fmt::format("block_tokens is {} and must be a multiple of 16 up to 4096", options.block_tokens));
  if (options.batch_tokens_max == 0 || options.batch_tokens_max > 65535)
    throw config_error(
        fmt::format("batch_tokens_max is {} and must be from 1 to 65535 on a CUDA device", options.batch_tokens_max));
}

/// Milliseconds since the last call.
class lap_clock {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double, std::milli>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// One rank of a tensor-parallel group, on one device. Decode batches run as graphs, captured while loading. All ranks
/// have all logits and sample for themselves, so no step waits for another rank's host; the first one's tokens are
/// told. What a step samples stays on the device for the next one, which is enqueued while the first is under way:
/// until the host has learned it, the sequence has -1 - row in its place.
class cuda_executor final : public executor {
 public:
  cuda_executor(model source, const shard& part, cuda_links links, engine_options options, std::size_t index)
      : model_(std::move(source)),
        part_(part),
        layout_(make_layout(model_.config, part)),
        options_(std::move(options)),
        device_(index),
        links_(std::move(links)) {}
  ~cuda_executor() override;

  load_report load(const load_progress& progress) override;
  void begin(const step_plan& plan) override;
  std::optional<step_result> poll() override;
  bool samples() const override { return part_.tensor_rank == 0 && part_.last_stage(); }
  void abort() noexcept override;

 private:
  using clock = std::chrono::steady_clock;
  /// A step that is under way.
  struct begun_step {
    troupe::epoch epoch;
    std::uint64_t step = 0;
    std::vector<std::size_t> sampled_order;  ///< as cuda_step's
    clock::time_point begun;
    const cuda_event* done = nullptr;
  };

  cuda_decoder_limits plan_memory() const;
  cuda_step_limits step_limits() const;
  bool needs_the_one_before(const std::vector<applied_entry>& entries) const;
  void enqueue(const std::vector<applied_entry>& entries);
  void await_sampled();
  step_result end_oldest();
  std::vector<sampled_token> take_sampled(const begun_step& step);
  bool has_come_to(const cuda_event& point, clock::time_point since);
  void tune();
  void capture_graphs();
  [[noreturn]] void give_up() const;
  bool passes_are_over() const { return link_ && step_.pass() >= link_->passes_max(); }
  bool waits_for_others() const { return link_ || links_.pipeline; }
  void tell(const std::string& line) const {
    if (options_.tell) options_.tell(line);
  }

  const model model_;
  const shard part_;
  const shard_layout layout_;
  const engine_options options_;
  const cuda_device device_;
  cuda_links links_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<cuda_tensor_link> link_;  ///< of a group
  std::atomic<cuda_tensor_link*> stoppable_{nullptr};
  std::optional<cuda_decoder> decoder_;
  std::optional<sequence_table> sequences_;
  cuda_step step_;
  cuda_sampler sampler_;
  std::array<cuda_event, steps_begun_max> done_;
  std::deque<begun_step> begun_;              ///< oldest first
  std::optional<step_result> ended_;          ///< of a step that the next one had to wait for; not given out
  clock::time_point last_end_;                ///< of a step
  clock::time_point watched_;                 ///< when progress was last told and the other ranks looked at
  std::map<std::size_t, cuda_graph> graphs_;  // by size of batch
};

/// In this order: kernels that wait for other ranks end, then graphs go, then the library, which waits for graphs, then
/// the memory, which waits for the library's kernels.
cuda_executor::~cuda_executor() {
  stoppable_.store(nullptr);
  if (link_) link_->stop();
  graphs_.clear();
  link_.reset();
  links_.pipeline.reset();
  decoder_.reset();
}

void cuda_executor::abort() noexcept {
  stop_.store(true);
  if (auto* link = stoppable_.load()) link->stop();
  if (links_.host.tensor) links_.host.tensor->abort();
  if (links_.host.pipeline) links_.host.pipeline->abort();
}

cuda_step_limits cuda_executor::step_limits() const {
  return {options_.batch_tokens_max, options_.block_tokens, model_.config.positions_max, heads_of_group(layout_)};
}

/// The least that is asked for must fit before anything is loaded; says what would.
cuda_decoder_limits cuda_executor::plan_memory() const {
  const auto& config = model_.config;
  cuda_decoder_limits limits{options_.batch_tokens_max, std::min(options_.batch_tokens_max, cuda_sequences_max),
                             options_.block_tokens, 1};
  const auto block_bytes = cuda_decoder::kv_bytes(config, part_, limits);
  limits.blocks = options_.kv_blocks != 0 ? options_.kv_blocks : options_.kv_bytes / block_bytes;
  if (limits.blocks == 0)
    throw config_error(fmt::format("the KV cache of {} bytes is too small: one block of {} tokens takes {} bytes",
                                   options_.kv_bytes, options_.block_tokens, block_bytes));
  limits.blocks = std::min<std::size_t>(limits.blocks, 1U << 24);
  const auto in_mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); };
  const auto weights = cuda_weight_bytes(config, part_);
  const auto activations = cuda_decoder::activation_bytes(config, part_, limits) + cuda_step::bytes_for(step_limits()) +
                           cuda_sampler::bytes_for(limits.logit_rows, config.vocabulary_size);
  const auto exchange = (part_.tensor_size == 1 ? 0 : cuda_tensor_link::bytes_for(part_.tensor_size) + library_bytes) +
                        (part_.stages == 1 ? 0 : library_bytes);
  const auto kv = cuda_decoder::kv_bytes(config, part_, limits);
  const auto fixed = weights + activations + exchange + reserve_bytes;
  const auto free = device_.free_bytes();
  tell(fmt::format(
      "memory-planned shard={}/{} stage={}/{} device=\"{}\" free={:.0f}MiB weights={:.0f}MiB kv={:.0f}MiB blocks={} "
      "activations={:.0f}MiB exchange={:.0f}MiB reserve={:.0f}MiB",
      part_.tensor_rank, part_.tensor_size, part_.stage, part_.stages, device_.name(), in_mib(free), in_mib(weights),
      in_mib(kv), limits.blocks, in_mib(activations), in_mib(exchange), in_mib(reserve_bytes)));
  if (fixed + kv > free)
    throw config_error(
        fmt::format("{} has {:.0f} MiB free; weights ({:.0f} MiB), activations, exchange with other ranks and what the "
                    "driver needs take {:.0f} MiB and the KV cache {:.0f} MiB: a KV cache of at most {:.0f} MiB would "
                    "fit",
                    device_.name(), in_mib(free), in_mib(weights), in_mib(fixed), in_mib(kv),
                    free > fixed ? in_mib(free - fixed) : 0.0));
  return limits;
}

load_report cuda_executor::load(const load_progress& progress) {
  const profiler_range range("load");
  lap_clock laps;
  device_.make_current();
  const auto& config = model_.config;
  const auto limits = plan_memory();
  const bool group = part_.tensor_size > 1;
  if (group) {
    assert(links_.host.tensor && links_.host.tensor->size() == static_cast<int>(part_.tensor_size));
    link_ = std::make_unique<cuda_tensor_link>(*links_.host.tensor, std::move(links_.tensor), layout_.layers.count,
                                               device_.stream());
    stoppable_.store(link_.get());
    if (stop_.load()) throw collective_error("the executor was aborted");
  }
  const auto joined = laps.lap();
  worker_pool pool(std::max<std::size_t>(1, options_.threads));
  decoder_.emplace(config, part_, load_cuda_weights(config, part_, *model_.weights, device_, pool, progress),
                   cuda_decoder_links{link_.get(), links_.pipeline.get()}, device_, limits);
  step_ = cuda_step(step_limits());
  if (part_.last_stage()) sampler_ = cuda_sampler(limits.logit_rows, config.vocabulary_size);
  sequences_.emplace(sequence_limits{config.vocabulary_size, config.positions_max, options_.block_tokens, limits.blocks,
                                     options_.batch_tokens_max, part_.stages == 1});
  const auto loaded = laps.lap();
  tune();
  const auto tuned = laps.lap();
  if (group) links_.host.tensor->barrier();  // nobody waits on its device for a rank that still loads
  capture_graphs();
  tell(
      fmt::format("cuda-loaded shard={} stage={} peers={} link={:.0f}ms weights={:.0f}ms tune={:.0f}ms graphs={:.0f}ms",
                  part_.tensor_rank, part_.stage,
                  !group                   ? "none"
                  : link_->reaches_peers() ? "direct"
                                           : "library",
                  joined, loaded, tuned, laps.lap()));
  return {cuda_weight_bytes(config, part_), cuda_decoder::kv_bytes(config, part_, limits),
          static_cast<std::uint32_t>(limits.blocks), static_cast<std::uint32_t>(options_.block_tokens)};
}

void cuda_executor::begin(const step_plan& plan) {
  assert(decoder_ && "load comes before begin");
  assert(begun_.size() + (ended_ ? 1 : 0) < steps_begun_max);
  const profiler_range range("begin");
  if (stop_.load()) throw collective_error("the executor was aborted");
  device_.make_current();
  const auto begun = clock::now();
  const auto& entries = sequences_->apply(plan);
  if (!begun_.empty() && needs_the_one_before(entries)) ended_ = end_oldest();
  enqueue(entries);
  auto& done = done_[plan.step % done_.size()];
  done.record(device_.stream());
  begun_.push_back({plan.epoch, plan.step, step_.sampled_order(), begun, &done});
  if (part_.stages == 1) await_sampled();
}

/// Whether these entries can be enqueued only when the step before them has ended: where the host must know the tokens
/// that it sampled, or the group numbers its passes anew.
bool cuda_executor::needs_the_one_before(const std::vector<applied_entry>& entries) const {
  return passes_are_over() || std::any_of(entries.begin(), entries.end(), [](const applied_entry& x) {
           return x.sample && adjusts_logits(x.sequence->sampling);
         });
}

/// The next step feeds what this one samples, wherever it is told so.
void cuda_executor::await_sampled() {
  token_id row = 0;
  for (auto* sequence : step_.sampled())
    sequence->sampled = -1 - row++;
}

std::optional<step_result> cuda_executor::poll() {
  if (ended_) return std::exchange(ended_, std::nullopt);
  if (begun_.empty()) return std::nullopt;
  const auto& oldest = begun_.front();
  if (!has_come_to(*oldest.done, std::max(oldest.begun, last_end_))) return std::nullopt;
  return end_oldest();
}

/// Waits for it where it is still under way.
step_result cuda_executor::end_oldest() {
  const profiler_range range("end");
  const auto step = std::move(begun_.front());
  const auto since = std::max(step.begun, last_end_);
  while (!has_come_to(*step.done, since)) {
  }
  begun_.pop_front();
  step_result result{step.epoch, step.step, {}, 0};
  if (part_.last_stage()) {
    auto sampled = take_sampled(step);
    if (samples()) result.sampled = std::move(sampled);
  }
  last_end_ = clock::now();
  result.busy_us =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(last_end_ - since).count());
  return result;
}

/// In the order of the plan's sampling entries.
std::vector<sampled_token> cuda_executor::take_sampled(const begun_step& step) {
  auto sampled = sampler_.take();
  std::vector<sampled_token> in_order(sampled.size());
  for (std::size_t i = 0; i < sampled.size(); ++i) {
    if (part_.stages == 1) sequences_->learn(sampled[i].sequence, sampled[i].position, sampled[i].token);
    in_order[step.sampled_order[i]] = std::move(sampled[i]);
  }
  return in_order;
}

void cuda_executor::enqueue(const std::vector<applied_entry>& entries) {
  const bool decodes =
      std::all_of(entries.begin(), entries.end(), [](const applied_entry& x) { return x.tokens == 1 && x.sample; });
  const auto size = std::lower_bound(graph_sizes.begin(), graph_sizes.end(), entries.size());
  const auto graph = decodes && !entries.empty() && size != graph_sizes.end() ? graphs_.find(*size) : graphs_.end();
  if (passes_are_over()) {
    link_->renew(*links_.host.tensor);
    step_.restart_passes();
  }
  step_.fill(entries, graph != graphs_.end() ? graph->first : 0);
  if (step_.sampled().size() > cuda_sequences_max)
    throw engine_error(fmt::format("{} sequences are sampled in one step; the CUDA engine can do {}",
                                   step_.sampled().size(), cuda_sequences_max));
  step_.upload(device_.stream());
  if (part_.last_stage()) sampler_.upload(step_.sampled(), device_.stream());
  if (graph != graphs_.end())
    graph->second.launch(device_.stream());
  else
    decoder_->enqueue(step_.batch(), device_.stream());
  if (part_.last_stage()) sampler_.enqueue(decoder_->logits(), step_.chosen(), device_.stream());
}

/// Choosing algorithms by time takes longer than anything else in a start, so the choices are kept.
void cuda_executor::tune() {
  const auto& config = model_.config;
  const kept_file file(
      options_.cache_folder,
      fmt::format("products-{}-{}x{}x{}x{}x{}x{}.bin", device_.name(), config.hidden_size, layout_.heads.count,
                  layout_.kv_heads.count, config.head_size, layout_.intermediate.count, layout_.vocabulary.count));
  decoder_->take_choices(file.read());
  const auto before = decoder_->choices();
  decoder_->tune(device_.stream());
  if (const auto after = decoder_->choices(); after != before) file.write(after);
}

/// Of batches of padding only. Each size runs once before: that loads the kernels, which a capture must not.
void cuda_executor::capture_graphs() {
  const auto stream = device_.stream();
  for (auto size : graph_sizes) {
    if (size > options_.batch_tokens_max) break;
    step_.fill({}, size);
    step_.upload(stream);
    decoder_->enqueue(step_.batch(), stream);
    done_.front().record(stream);
    const auto since = clock::now();
    while (!has_come_to(done_.front(), since)) {
    }
    graphs_.emplace(size, cuda_graph::capture(stream, [&] { decoder_->enqueue(step_.batch(), stream); }));
  }
}

/// Looks, rather than blocks: an abort must get through, and a device that hangs must be noticed. The other ranks are
/// watched by others, so waiting for them is progress until the deadline.
bool cuda_executor::has_come_to(const cuda_event& point, clock::time_point since) {
  if (point.done()) return true;
  if (stop_.load(std::memory_order_relaxed)) throw collective_error("the step was aborted");
  const auto now = clock::now();
  if (now - since > links_.deadline) give_up();
  if (waits_for_others() && now - std::max(since, watched_) > std::chrono::milliseconds(10)) {
    if (options_.progress) options_.progress->advance();
    if (link_) link_->check();
    if (links_.pipeline) links_.pipeline->check();
    watched_ = now;
  }
  std::this_thread::yield();
  return false;
}

void cuda_executor::give_up() const {
  if (!waits_for_others())
    throw cuda_error(fmt::format("{}: a step did not end within {} ms", device_.name(), links_.deadline.count()));
  throw collective_error(
      fmt::format("shard {} of {}, stage {} of {}: a step did not end within {} ms: another rank is lost or late",
                  part_.tensor_rank, part_.tensor_size, part_.stage, part_.stages, links_.deadline.count()));
}

}  // namespace

bool cuda_is_built() { return true; }

double measure_device_copy_bandwidth(std::size_t index) { return measure_copy_bandwidth(cuda_device(index)); }
double measure_device_matrix_rate(std::size_t index) { return measure_matrix_rate(cuda_device(index)); }

std::unique_ptr<executor> make_cuda_executor(model source, const shard& part, cuda_links links,
                                             const engine_options& options, std::size_t index) {
  check_model(source.config, part);
  check_options(options);
  return std::make_unique<cuda_executor>(std::move(source), part, std::move(links), options, index);
}

}  // namespace troupe
