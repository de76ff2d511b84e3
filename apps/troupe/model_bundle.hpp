// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/router.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/text/prompt_encoder.hpp"
#include "topology/cluster_file.hpp"
#include "topology/shard_plan.hpp"

namespace troupe {

/// What a node knows of the model that its ranks compute: everything but the weights.
struct model_bundle {
  std::string source;  ///< for open_model: a folder, or random:NAME
  std::string name;    ///< what clients call it
  model_config config;
  std::shared_ptr<const prompt_encoder> text;
  std::uint64_t hash = 0;            ///< of configuration and weights; equal on all nodes that serve together
  std::uint32_t context_tokens = 0;  ///< the smaller of the model's and the file's

  model_facts facts() const;
};

enum class bundle_parts : std::uint8_t {
  all,
  without_text,  ///< `text` stays null: a rank needs none, and a large vocabulary takes a second to read
};

/// Reads configuration, tokenizer and chat template, and checks the weights of the model that a topology file names.
/// Throws config_error, weights_error, tokenizer_error or chat_template_error.
model_bundle read_model_bundle(const cluster_file& file, bundle_parts parts = bundle_parts::all);

model_shape shape_of(const model_config& config);

}  // namespace troupe
