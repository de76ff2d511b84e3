// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/group_options.hpp"
#include "apps/troupe/local_cluster.hpp"
#include "apps/troupe/logging.hpp"
#include "apps/troupe/memory_bandwidth.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/model/memory_plan.hpp"

namespace troupe {
namespace {

using clock = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

/// Two workloads. Offline: `sequences` prompts of random ids with input and output lengths drawn uniformly from
/// [length_min, length_max], all submitted at once, as in the Mini-SGLang offline benchmark. Fixed: `batch` sequences
/// with `context` prompt tokens and `steps` output tokens each, for the latency of a decode step.
struct bench_options {
  local_cluster_options cluster;
  std::string log_level = "error";
  std::uint32_t sequences = 256;
  std::uint32_t length_min = 100;
  std::uint32_t length_max = 1024;
  std::uint32_t batch = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t steps = 32;
  std::uint64_t seed = 0;
  float temperature = 0.6F;
  bool json = false;
};

/// Fixed: with --context, as many as let the last token reach it.
std::uint32_t prompt_tokens_of(const bench_options& options) {
  if (options.prompt_tokens != 0) return options.prompt_tokens;
  const auto context = options.cluster.engine.context;
  if (context == 0) return 128;
  if (context <= options.steps)
    throw std::invalid_argument(
        fmt::format("--context {} leaves no prompt before {} steps; make it larger", context, options.steps));
  return context - options.steps;
}

struct workload_item {
  std::vector<token_id> prompt;
  std::uint32_t output = 0;
};

std::vector<workload_item> make_workload(const bench_options& options, std::int32_t vocabulary_size) {
  std::mt19937_64 random{options.seed};
  std::uniform_int_distribution<std::uint32_t> length{options.length_min, options.length_max};
  std::uniform_int_distribution<token_id> token{0, std::min(vocabulary_size - 1, 10'000)};
  std::vector<workload_item> items(options.batch != 0 ? options.batch : options.sequences);
  for (auto& item : items) {
    item.prompt.resize(options.batch != 0 ? prompt_tokens_of(options) : length(random));
    item.output = options.batch != 0 ? options.steps : length(random);
    for (auto& id : item.prompt)
      id = token(random);
  }
  return items;
}

/// One sequence as long as the others, of a token that they do not begin with: what a process does for the first time
/// is not measured, and no prefix of theirs is known.
std::vector<workload_item> make_warm_up(const bench_options& options) {
  const auto tokens = options.batch != 0 ? prompt_tokens_of(options) : options.length_max;
  return {{std::vector<token_id>(tokens, 0), 4}};
}

struct figures {
  std::size_t sequences = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  double seconds_total = 0;
  double first_token_p50 = 0;  ///< seconds
  double inter_token_p50 = 0;  ///< seconds, over all gaps between answers of one sequence
  double inter_token_p99 = 0;
  group_statistics group;  ///< of this run alone

  double outside_executor() const {
    if (group.active_us == 0) return 0;
    return 1.0 - std::min(1.0, static_cast<double>(group.busy_us) / static_cast<double>(group.active_us));
  }
};

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index), values.end());
  return values[index];
}

/// Submits everything and reads every answer as it comes, at one sink, so that the gaps are the real ones.
figures run_workload(local_cluster& cluster, const bench_options& options, std::vector<workload_item> items,
                     bool show) {
  auto connection = cluster.connect();
  auto before = connection.statistics("g0");
  caf::scoped_actor self{cluster.system()};
  figures result;
  result.sequences = items.size();
  std::uint64_t expected = 0;
  for (const auto& item : items)
    expected += item.output;

  auto begin = clock::now();
  std::vector<clock::time_point> last(items.size(), begin);
  std::vector<double> firsts, gaps;
  for (std::size_t i = 0; i < items.size(); ++i) {
    submit message;
    message.ticket = i;
    message.sink = caf::actor_cast<answer_sink_actor>(self);
    message.credit = items[i].output + 8;
    message.what.prompt.kind = prompt_kind::tokens;
    message.what.prompt.tokens = std::move(items[i].prompt);
    message.what.sampling.temperature = options.temperature;
    message.what.sampling.seed = options.seed + i;
    message.what.stops.max_tokens = items[i].output;
    message.what.stops.ignore_eos = true;
    self->request(connection.router(), std::chrono::minutes(10), std::move(message))
        .receive([&](const accepted& info) { result.prompt_tokens += info.prompt_tokens; },
                 [](const caf::error& reason) { throw client_error(code_name(reason), describe(reason)); });
  }
  auto progress = show ? terminal_progress("generating") : load_progress{};
  for (std::size_t ended = 0; ended < items.size();) {
    self->receive([&](const answer& message) {
      if (message.event.finish == finish_reason::error)
        throw client_error(message.event.error_code, message.event.error);
      auto now = clock::now();
      auto& previous = last[message.ticket];
      (previous == begin ? firsts : gaps).push_back(seconds(now - previous).count());
      previous = now;
      result.output_tokens += message.event.tokens.size();
      if (progress) progress(result.output_tokens, expected);
      if (message.event.finish != finish_reason::none) ++ended;
    });
  }
  result.seconds_total = seconds(clock::now() - begin).count();
  result.first_token_p50 = percentile(firsts, 0.5);
  result.inter_token_p50 = percentile(gaps, 0.5);
  result.inter_token_p99 = percentile(gaps, 0.99);
  result.group = connection.statistics("g0");
  result.group.steps -= before.steps;
  result.group.active_us -= before.active_us;
  result.group.busy_us -= before.busy_us;
  result.group.tokens_planned -= before.tokens_planned;
  return result;
}

nlohmann::ordered_json to_json(const bench_options& options, const model_bundle& model, const figures& x) {
  return {{"model", model.name},
          {"device", options.cluster.device},
          {"tensor", options.cluster.tensor},
          {"pipeline", options.cluster.pipeline},
          {"workload", options.batch != 0 ? "fixed" : "offline"},
          {"sequences", x.sequences},
          {"prompt_tokens", x.prompt_tokens},
          {"output_tokens", x.output_tokens},
          {"seconds", x.seconds_total},
          {"output_tokens_per_second", static_cast<double>(x.output_tokens) / x.seconds_total},
          {"tokens_per_second", static_cast<double>(x.prompt_tokens + x.output_tokens) / x.seconds_total},
          {"first_token_p50_ms", x.first_token_p50 * 1e3},
          {"inter_token_p50_ms", x.inter_token_p50 * 1e3},
          {"inter_token_p99_ms", x.inter_token_p99 * 1e3},
          {"steps", x.group.steps},
          {"step_mean_ms",
           x.group.steps == 0 ? 0 : static_cast<double>(x.group.active_us) / 1e3 / static_cast<double>(x.group.steps)},
          {"outside_executor", x.outside_executor()},
          {"preemptions", x.group.scheduler.preemptions}};
}

void print_table(const nlohmann::ordered_json& json) {
  for (const auto& [key, value] : json.items())
    fmt::print("{:<26} {}\n", key,
               value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
               : value.is_string()     ? value.get<std::string>()
                                       : value.dump());
}

/// Bytes of weights that a step of one token reads: all but the input embedding where it is not the head too.
double weight_bytes_read(const model_config& config) {
  auto bytes = static_cast<double>(plan_memory(config, {}, 16, 1).weight_bytes);
  auto embedding = static_cast<double>(config.vocabulary_size * config.hidden_size) * 2;
  return config.tied_embeddings ? bytes : bytes - embedding;
}

/// Bytes of KV cache that a step in the middle of the run reads.
double cache_bytes_read(const bench_options& options, const model_config& config) {
  const auto element = options.cluster.device == "cuda" ? sizeof(bf16) : sizeof(float);
  const auto token = static_cast<double>(2 * config.layers * config.kv_heads * config.head_size * element);
  return token * options.batch * (prompt_tokens_of(options) + options.steps / 2.0);
}

/// How near decoding comes to reading weights and cache as fast as this memory can be read, in the same run; the ranks'
/// devices together.
void add_memory_share(nlohmann::ordered_json& json, const bench_options& options, const model_config& config,
                      const figures& x) {
  auto threads = options.cluster.engine.threads;
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  const bool cuda = options.cluster.device == "cuda";
  auto limit = cuda ? measure_device_copy_bandwidth(0) * options.cluster.tensor * options.cluster.pipeline
                    : measure_read_bandwidth(threads);
  auto reached = (weight_bytes_read(config) + cache_bytes_read(options, config)) / x.inter_token_p50;
  json["step_read_gb_per_second"] = reached / 1e9;
  json[cuda ? "device_copy_gb_per_second" : "memory_read_gb_per_second"] = limit / 1e9;
  json["share_of_memory_bandwidth"] = reached / limit;
}

/// Products of weights with a token's row: all but the input embedding's.
double parameters_used(const model_config& config) { return weight_bytes_read(config) / 2; }

/// How near a device comes to the shortest time that its matrix rate and its memory allow: prompts at the rate of
/// products, then steps of all sequences that still run, each as long as its products or what it reads take, whichever
/// is more. Products of weights alone are counted, and both limits are measured in the same run.
void add_offline_share(nlohmann::ordered_json& json, const bench_options& options, const model_config& config,
                       const std::vector<workload_item>& items, const figures& x) {
  const auto devices = options.cluster.tensor * options.cluster.pipeline;
  const auto bandwidth = measure_device_copy_bandwidth(0) * devices;
  const auto rate = measure_device_matrix_rate(0) * devices;
  const auto cached_token = static_cast<double>(2 * config.layers * config.kv_heads * config.head_size * sizeof(bf16));
  std::uint32_t longest = 0;
  for (const auto& item : items)
    longest = std::max(longest, item.output);
  auto floor = 2 * parameters_used(config) * static_cast<double>(x.prompt_tokens) / rate;
  for (std::uint32_t t = 1; t < longest; ++t) {
    double running = 0, cached = 0;
    for (const auto& item : items) {
      if (item.output <= t) continue;
      running += 1;
      cached += static_cast<double>(item.prompt.size()) + t;
    }
    floor += std::max(2 * parameters_used(config) * running / rate,
                      (weight_bytes_read(config) + cached * cached_token) / bandwidth);
  }
  json["device_copy_gb_per_second"] = bandwidth / 1e9;
  json["device_matrix_tflops"] = rate / 1e12;
  json["floor_seconds"] = floor;
  json["share_of_floor"] = floor / x.seconds_total;
}

/// Tokens of a prompt that keep a device's matrix units busy, so that a share of their rate says something.
constexpr std::uint64_t matrix_prompt = 512;

/// How fast prompts were read: products of weights alone, without attention.
void add_prefill(nlohmann::ordered_json& json, const bench_options& options, const model_config& config,
                 const figures& x) {
  const auto head = static_cast<double>(config.vocabulary_size * config.hidden_size) * 2;
  const auto parameters = (weight_bytes_read(config) - head) / 2;
  const auto tokens = static_cast<double>(x.prompt_tokens);
  json["prefill_tokens_per_second"] = tokens / x.first_token_p50;
  const auto reached = 2 * parameters * tokens / x.first_token_p50;
  json["prefill_weight_tflops"] = reached / 1e12;
  if (options.cluster.device != "cuda" || x.prompt_tokens < matrix_prompt) return;
  const auto rate = measure_device_matrix_rate(0) * options.cluster.tensor * options.cluster.pipeline;
  json["device_matrix_tflops"] = rate / 1e12;
  json["prefill_share_of_matrix_rate"] = reached / rate;
}

int run_bench(bench_options options) {
  start_logging("bench", options.log_level);
  if (options.length_min > options.length_max || options.length_min == 0)
    throw std::invalid_argument("--length-min must be at least 1 and at most --length-max");
  auto& engine = options.cluster.engine;
  engine.max_queue = std::max(engine.max_queue, std::max(options.sequences, options.batch));
  engine.max_sequences = std::max(engine.max_sequences, options.batch);
  local_cluster cluster{options.cluster, terminal_progress("loading")};
  auto vocabulary = static_cast<std::int32_t>(cluster.model().config.vocabulary_size);
  run_workload(cluster, options, make_warm_up(options), false);
  const auto items = make_workload(options, vocabulary);
  auto result = run_workload(cluster, options, items, true);
  auto json = to_json(options, cluster.model(), result);
  if (options.batch != 0 && options.steps > 1) add_memory_share(json, options, cluster.model().config, result);
  if (options.batch == 1) add_prefill(json, options, cluster.model().config, result);
  if (options.batch == 0 && options.cluster.device == "cuda")
    add_offline_share(json, options, cluster.model().config, items, result);
  if (options.json)
    fmt::print("{}\n", json.dump());
  else
    print_table(json);
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<bench_options>();
  auto* command = program.add_subcommand(
      "bench", "Measure a group in this process: throughput, latency, share of a step outside the executor");
  add_group_options(*command, options->cluster, options->log_level);
  command->add_option("--sequences", options->sequences, "Offline: how many")->capture_default_str();
  command->add_option("--length-min", options->length_min, "Offline: least input and output tokens")
      ->capture_default_str();
  command->add_option("--length-max", options->length_max, "Offline: most input and output tokens")
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Fixed instead of offline: this many sequences at once");
  command->add_option("--prompt-tokens", options->prompt_tokens,
                      "Fixed: prompt tokens of each; else what --context leaves, else 128");
  command->add_option("--steps", options->steps, "Fixed: output tokens of each")->capture_default_str();
  command->add_option("--seed", options->seed)->capture_default_str();
  command->add_option("--temperature", options->temperature)->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object instead of a table");
  command->callback([options, &exit_code] { exit_code = run_bench(*options); });
}

}  // namespace troupe
