// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/model_bundle.hpp"
#include "apps/troupe/plan_command.hpp"
#include "runtime/model/memory_plan.hpp"
#include "runtime/model/model.hpp"

namespace troupe {
namespace {

int run_plan(const std::string& path, bool json, bool insecure) {
  auto file = load_cluster_file(path, {insecure});
  auto config = open_model_config(file.weights == "files" ? file.model.string() : file.weights);
  auto memory = [&](const group_spec& group, const rank_shard& part) {
    auto plan = plan_memory(config, {part.tensor_rank, group.tensor, part.stage, group.pipeline},
                            file.engine.block_tokens, file.engine.max_batch_tokens);
    return rank_memory_figures{plan.weight_bytes, plan.kv_bytes_per_block};
  };
  auto report = make_plan(file, shape_of(config), memory, std::thread::hardware_concurrency());
  fmt::print("{}", json ? format_plan_json(report) : format_plan(report));
  return report.wrong.empty() ? 0 : 1;
}

}  // namespace

void add_plan_command(CLI::App& program, int& exit_code) {
  struct options {
    std::string path;
    bool json = false;
    bool insecure = false;
  };
  auto chosen = std::make_shared<options>();
  auto* command = program.add_subcommand("plan", "Say what a topology file would start, and what is wrong or wasteful");
  command->add_option("file", chosen->path, "The topology file")->required();
  command->add_flag("--json", chosen->json, "One JSON object");
  command->add_flag("--insecure", chosen->insecure, "Allow addresses other than loopback without TLS and API key");
  command->callback([chosen, &exit_code] { exit_code = run_plan(chosen->path, chosen->json, chosen->insecure); });
}

}  // namespace troupe
