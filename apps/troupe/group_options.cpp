// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/group_options.hpp"

namespace troupe {

void add_group_options(CLI::App& command, local_cluster_options& options, std::string& log_level) {
  auto& engine = options.engine;
  command.add_option("--model,-m", options.model, "Hugging Face model folder");
  command.add_option("--weights", options.weights, "files, or random:NAME for weights made in the shape NAME")
      ->capture_default_str();
  command.add_option("--device", options.device, "cpu, or cuda where the build has it")->capture_default_str();
  command.add_option("--tensor", options.tensor, "Ranks that split every layer")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command.add_option("--pipeline", options.pipeline, "Stages of layers")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command.add_option("--threads", engine.threads, "Threads per rank; 0: the cores divided by the ranks")
      ->capture_default_str();
  command.add_option("--kv-memory", engine.kv_memory_bytes, "KV cache per rank, for example 512MiB")
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--kv-blocks", engine.kv_blocks, "KV blocks per rank instead of --kv-memory");
  command.add_option("--block-tokens", engine.block_tokens, "Tokens a block holds")->capture_default_str();
  command.add_option("--max-batch-tokens", engine.max_batch_tokens, "Most tokens fed by one step")
      ->capture_default_str();
  command.add_option("--max-sequences", engine.max_sequences, "Most sequences running at once")->capture_default_str();
  command.add_option("--context", engine.context, "Most tokens of prompt and answer; 0: as the model says")
      ->capture_default_str();
  command.add_option("--log-level", log_level, "trace, debug, info, warning or error")->capture_default_str();
}

}  // namespace troupe
