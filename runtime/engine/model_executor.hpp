// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_device.hpp"
#include "runtime/collective/group_communicators.hpp"
#include "runtime/engine/engine_options.hpp"
#include "runtime/engine/executor.hpp"
#include "runtime/engine/sequence_table.hpp"
#include "runtime/model/decoder.hpp"
#include "runtime/model/kv_memory.hpp"
#include "runtime/model/model.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {

/// One shard of a model on the CPU. The last stage's tensor rank 0 samples; with one stage it tells the other tensor
/// ranks what it sampled, so that plans may say feed_sampled.
class model_executor final : public blocking_executor {
 public:
  /// `links` may be null where this rank is alone. Throws config_error when the model cannot be split so or an option
  /// is out of range, std::invalid_argument for an instruction set that is not available.
  model_executor(model source, const shard& part, group_communicators links, engine_options options);
  ~model_executor() override;

  load_report load(const load_progress& progress) override;
  bool samples() const override { return part_.last_stage() && part_.tensor_rank == 0; }
  void abort() noexcept override;

  /// After load: for the executor that follows this one on the same rank with other links, which then need not load
  /// again.
  std::shared_ptr<const shard_weights> weights() const { return weights_; }
  /// Before load.
  void reuse_weights(std::shared_ptr<const shard_weights> weights) { weights_ = std::move(weights); }

  /// The KV cache, for copying blocks between ranks; between runs only.
  const kv_memory& cache() const { return cache_; }

 private:
  step_result compute(const step_plan& plan) override;
  void check_options() const;
  void fill_batch(const std::vector<applied_entry>& entries);
  std::vector<sampled_token> sample(const std::vector<applied_entry>& entries);
  tensor gather_logits(tensor mine);
  void share_sampled(const std::vector<applied_entry>& entries, const std::vector<sampled_token>& sampled);

  const model model_;
  const shard part_;
  const engine_options options_;
  group_communicators links_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<cpu_device> device_;
  std::shared_ptr<const shard_weights> weights_;
  kv_memory cache_;
  std::optional<sequence_table> sequences_;
  std::optional<decoder> decoder_;
  decoder_batch batch_;
  host_buffer gathered_;  // whole logits of some rows, where they are sampled
};

}  // namespace troupe
