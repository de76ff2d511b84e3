// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/openai_request.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "apps/gateway/json_fields.hpp"
#include "apps/gateway/json_tree.hpp"

namespace troupe {

namespace {

constexpr std::uint32_t n_max = 4;
constexpr std::size_t choices_max = 16;
constexpr std::size_t stop_strings_max = 16;
constexpr std::size_t stop_string_bytes_max = 256;
constexpr std::size_t stop_ids_max = 64;
constexpr std::size_t logit_bias_max = 1024;
constexpr std::int32_t logprobs_max = 20;
constexpr std::uint32_t text_tokens_default = 16;  // as OpenAI's /v1/completions

/// Reads one body from top to bottom. After the first problem the rest is skipped.
class request_reader {
 public:
  request_reader(completion_api api, const served_model& model, std::uint64_t fresh_seed) : model_(model) {
    out_.api = api;
    base_.sampling.seed = fresh_seed;
  }

  std::variant<completion_request, api_error> read(const json_tree& body);

 private:
  void read_model(json_fields& fields);
  void read_messages(json_fields& fields);
  chat_message read_message(const json_tree& value, const std::string& path);
  void read_content(json_fields& fields, chat_message& message);
  void read_prompts(json_fields& fields);
  void add_text_prompt(json_fields& fields, const json_tree& value);
  void add_token_prompt(json_fields& fields, const json_tree& value);
  void read_sampling(json_fields& fields);
  void read_seed(json_fields& fields);
  void read_logit_bias(json_fields& fields);
  void read_chat_logprobs(json_fields& fields);
  void read_limits(json_fields& fields);
  void read_stops(json_fields& fields);
  void read_stream(json_fields& fields);
  void read_rest(json_fields& fields);
  void make_generations(json_fields& fields);
  bool is_token(const json_tree& value) const;

  const served_model& model_;
  completion_request out_;
  generation base_;  ///< what the choices have in common
  std::vector<prompt> prompts_;
  std::optional<api_error> error_;
};

std::variant<completion_request, api_error> request_reader::read(const json_tree& body) {
  json_fields fields(body, "", error_);
  read_model(fields);
  out_.api == completion_api::chat ? read_messages(fields) : read_prompts(fields);
  read_sampling(fields);
  read_limits(fields);
  read_stops(fields);
  read_stream(fields);
  read_rest(fields);
  fields.finish();
  make_generations(fields);
  if (error_) return *std::move(error_);
  return std::move(out_);
}

void request_reader::read_model(json_fields& fields) {
  fields.require("model");
  fields.read_text("model", out_.model);
  if (!fields.failed() && out_.model != model_.name)
    fields.fail(
        "model_not_found", "model",
        fmt::format("the model {} does not exist; this server serves {}", out_.model.substr(0, 128), model_.name));
  base_.model = out_.model;
}

void request_reader::read_messages(json_fields& fields) {
  const auto* messages = fields.require("messages");
  if (!messages) return;
  if (messages->what != json_tree::kind::array || messages->items.empty())
    return fields.fail("invalid_type", "messages", "messages must be an array of at least one message");
  prompt out;
  out.kind = prompt_kind::chat;
  for (std::size_t i = 0; i < messages->items.size() && !error_; ++i)
    out.messages.push_back(read_message(messages->items[i], fmt::format("messages[{}]", i)));
  prompts_.push_back(std::move(out));
}

chat_message request_reader::read_message(const json_tree& value, const std::string& path) {
  chat_message out;
  json_fields fields(value, path, error_);
  fields.require("role");
  fields.read_text("role", out.role);
  if (out.role == "developer") out.role = "system";  // OpenAI's newer name for it
  if (!error_ && out.role != "system" && out.role != "user" && out.role != "assistant")
    fields.fail(
        "invalid_value", "role",
        fmt::format("{}.role is {} and must be system, developer, user or assistant", path, out.role.substr(0, 64)));
  read_content(fields, out);
  fields.ignore({"name"});
  fields.refuse({"tool_calls", "tool_call_id", "function_call", "audio", "refusal", "annotations"});
  fields.finish();
  return out;
}

void request_reader::read_content(json_fields& fields, chat_message& message) {
  const auto* content = fields.require("content");
  if (!content) return;
  if (content->what == json_tree::kind::text) {
    message.content = content->text;
    return;
  }
  if (content->what != json_tree::kind::array)
    return fields.fail("invalid_type", "content",
                       fmt::format("{} is {} and must be a string or an array of text parts", fields.path_of("content"),
                                   describe(content->what)));
  for (std::size_t i = 0; i < content->items.size() && !error_; ++i) {
    json_fields part(content->items[i], fmt::format("{}[{}]", fields.path_of("content"), i), error_);
    std::string type;
    std::string text;
    part.require("type");
    part.read_text("type", type);
    if (!error_ && type != "text")
      part.fail("unsupported_field", "type",
                fmt::format("{} is {} and must be text", part.path_of("type"), type.substr(0, 64)));
    part.require("text");
    part.read_text("text", text);
    part.finish();
    message.content += text;
  }
}

bool request_reader::is_token(const json_tree& value) const {
  return value.what == json_tree::kind::integer && !value.negative && value.number < model_.vocabulary;
}

void request_reader::read_prompts(json_fields& fields) {
  const auto* value = fields.require("prompt");
  if (!value) return;
  if (value->what == json_tree::kind::text) return add_text_prompt(fields, *value);
  constexpr const char* right =
      "prompt must be a string, an array of strings, an array of token ids or an array of arrays of token ids";
  if (value->what != json_tree::kind::array) return fields.fail("invalid_type", "prompt", right);
  if (value->items.empty())
    return fields.fail("empty_prompt", "prompt", "prompt is empty; give at least one character or token id");
  if (value->items.front().is_number()) return add_token_prompt(fields, *value);
  if (value->items.size() > choices_max)
    return fields.fail("invalid_value", "prompt",
                       fmt::format("prompt has {} prompts and may have at most {}", value->items.size(), choices_max));
  const auto first = value->items.front().what;
  for (const auto& item : value->items) {
    if (item.what != first || (first != json_tree::kind::text && first != json_tree::kind::array))
      return fields.fail("invalid_type", "prompt", right);
    first == json_tree::kind::text ? add_text_prompt(fields, item) : add_token_prompt(fields, item);
  }
}

void request_reader::add_text_prompt(json_fields& fields, const json_tree& value) {
  if (value.text.empty())
    return fields.fail("empty_prompt", "prompt", "prompt is empty; give at least one character or token id");
  prompt out;
  out.kind = prompt_kind::text;
  out.text = value.text;
  prompts_.push_back(std::move(out));
}

void request_reader::add_token_prompt(json_fields& fields, const json_tree& value) {
  if (value.items.empty())
    return fields.fail("empty_prompt", "prompt", "prompt is empty; give at least one character or token id");
  if (model_.context != 0 && value.items.size() > model_.context)
    return fields.fail("context_length_exceeded", "prompt",
                       fmt::format("the prompt has {} tokens and the context is {}; give a shorter prompt",
                                   value.items.size(), model_.context));
  prompt out;
  out.kind = prompt_kind::tokens;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    if (!is_token(value.items[i]))
      return fields.fail(value.items[i].is_number() ? "unknown_token" : "invalid_type", "prompt",
                         fmt::format("prompt[{}] is no token id; the model's are 0 to {}", i, model_.vocabulary - 1));
    out.tokens.push_back(static_cast<token_id>(value.items[i].magnitude));
  }
  prompts_.push_back(std::move(out));
}

void request_reader::read_sampling(json_fields& fields) {
  auto& sampling = base_.sampling;
  fields.read_number("temperature", sampling.temperature, 0, 2);
  fields.read_number("top_p", sampling.top_p, 0, 1);
  if (sampling.top_p <= 0)
    fields.fail("invalid_value", "top_p",
                "top_p is 0 and must be above 0 and at most 1; temperature 0 gives the likeliest token");
  fields.read_integer("top_k", sampling.top_k, -1, model_.vocabulary);
  if (sampling.top_k == -1) sampling.top_k = 0;  // other servers' way to say all
  fields.read_number("min_p", sampling.min_p, 0, 1);
  fields.read_number("presence_penalty", sampling.presence_penalty, -2, 2);
  fields.read_number("frequency_penalty", sampling.frequency_penalty, -2, 2);
  fields.read_number("repetition_penalty", sampling.repetition_penalty, 0, 2);
  if (sampling.repetition_penalty <= 0)
    fields.fail("invalid_value", "repetition_penalty", "repetition_penalty is 0 and must be above 0 and at most 2");
  read_seed(fields);
  read_logit_bias(fields);
  if (out_.api == completion_api::chat)
    read_chat_logprobs(fields);
  else
    fields.read_integer("logprobs", sampling.logprobs, 0, logprobs_max);
}

void request_reader::read_seed(json_fields& fields) {
  const auto* seed = fields.find("seed");
  if (!seed) return;
  if (seed->what != json_tree::kind::integer)
    return fields.fail("invalid_type", "seed",
                       fmt::format("seed is {} and must be an integer of 64 bits", describe(seed->what)));
  base_.sampling.seed = seed->negative ? 0 - seed->magnitude : seed->magnitude;
}

void request_reader::read_logit_bias(json_fields& fields) {
  const auto* biases = fields.find("logit_bias");
  if (!biases) return;
  if (biases->what != json_tree::kind::object || biases->entries.size() > logit_bias_max)
    return fields.fail("invalid_type", "logit_bias",
                       fmt::format("logit_bias must be an object of at most {} token ids", logit_bias_max));
  for (const auto& [key, value] : biases->entries) {
    token_id token = 0;
    auto [rest, failure] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (failure != std::errc{} || rest != key.data() + key.size() || token < 0 || token >= model_.vocabulary)
      return fields.fail("unknown_token", "logit_bias",
                         fmt::format("logit_bias names {}, and the model's token ids are 0 to {}", key.substr(0, 32),
                                     model_.vocabulary - 1));
    if (!value.is_number() || value.number < -100 || value.number > 100)
      return fields.fail("invalid_value", "logit_bias",
                         fmt::format("logit_bias of {} must be a number between -100 and 100", token));
    base_.sampling.logit_bias.emplace_back(token, static_cast<float>(value.number));
  }
}

void request_reader::read_chat_logprobs(json_fields& fields) {
  bool wanted = false;
  fields.read_flag("logprobs", wanted);
  std::int32_t top = -1;
  fields.read_integer("top_logprobs", top, 0, logprobs_max);
  if (top >= 0 && !wanted)
    fields.fail("invalid_value", "top_logprobs", "top_logprobs is given without logprobs; give logprobs true too");
  if (wanted) base_.sampling.logprobs = std::max(top, 0);
}

void request_reader::read_limits(json_fields& fields) {
  auto& stops = base_.stops;
  stops.max_tokens = 0;
  const auto most = model_.context == 0 ? std::uint32_t{1} << 24 : model_.context;
  fields.read_count("max_tokens", stops.max_tokens, 1, most);
  if (out_.api == completion_api::chat) {
    std::uint32_t newer = 0;
    fields.read_count("max_completion_tokens", newer, 1, most);
    if (newer != 0 && stops.max_tokens != 0 && newer != stops.max_tokens)
      fields.fail("invalid_value", "max_completion_tokens",
                  "max_completion_tokens and max_tokens are both given and differ; give one of them");
    stops.max_tokens = std::max(stops.max_tokens, newer);
  } else if (stops.max_tokens == 0) {
    stops.max_tokens = text_tokens_default;
  }
  fields.read_flag("ignore_eos", stops.ignore_eos);
  fields.read_integer("priority", base_.priority, -100, 100);
  fields.read_count("n", out_.choices_per_prompt, 1, n_max);
}

void request_reader::read_stops(json_fields& fields) {
  fields.read_flag("include_stop_str_in_output", base_.include_stop);
  if (const auto* ids = fields.find("stop_token_ids")) {
    if (ids->what != json_tree::kind::array || ids->items.size() > stop_ids_max ||
        !std::all_of(ids->items.begin(), ids->items.end(), [this](const json_tree& x) { return is_token(x); }))
      return fields.fail("invalid_value", "stop_token_ids",
                         fmt::format("stop_token_ids must be an array of at most {} token ids from 0 to {}",
                                     stop_ids_max, model_.vocabulary - 1));
    for (const auto& id : ids->items)
      base_.stops.stop_ids.push_back(static_cast<token_id>(id.magnitude));
  }
  const auto* stop = fields.find("stop");
  if (!stop) return;
  auto add = [&](const json_tree& value) {
    if (value.what != json_tree::kind::text || value.text.empty() || value.text.size() > stop_string_bytes_max)
      return fields.fail(
          "invalid_value", "stop",
          fmt::format("stop must be a string or an array of strings of 1 to {} bytes", stop_string_bytes_max));
    base_.stop_strings.push_back(value.text);
  };
  if (stop->what != json_tree::kind::array) return add(*stop);
  if (stop->items.size() > stop_strings_max)
    return fields.fail(
        "invalid_value", "stop",
        fmt::format("stop has {} strings and may have at most {}", stop->items.size(), stop_strings_max));
  std::for_each(stop->items.begin(), stop->items.end(), add);
}

void request_reader::read_stream(json_fields& fields) {
  fields.read_flag("stream", out_.stream);
  const auto* options = fields.find("stream_options");
  if (!options) return;
  if (!out_.stream)
    return fields.fail("invalid_value", "stream_options",
                       "stream_options is given without stream; give stream true too");
  json_fields inner(*options, "stream_options", error_);
  inner.read_flag("include_usage", out_.include_usage);
  inner.refuse({"include_obfuscation", "continuous_usage_stats"});
  inner.finish();
}

void request_reader::read_rest(json_fields& fields) {
  fields.ignore(
      {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"});
  std::uint32_t best_of = out_.choices_per_prompt;
  if (out_.api == completion_api::text) {
    fields.read_count("best_of", best_of, 1, n_max);
    if (best_of != out_.choices_per_prompt)
      fields.fail("unsupported_field", "best_of", "best_of other than n is not supported by this server; leave it out");
    fields.refuse({"echo", "suffix"});
    return;
  }
  if (const auto* format = fields.find("response_format")) {
    json_fields inner(*format, "response_format", error_);
    std::string type;
    inner.read_text("type", type);
    if (type != "text")
      fields.fail("unsupported_field", "response_format",
                  "response_format other than text is not supported by this server; leave it out");
  }
  if (const auto* choice = fields.find("tool_choice"); choice && choice->text != "none" && choice->text != "auto")
    fields.fail("unsupported_field", "tool_choice", "tool_choice is not supported by this server; leave it out");
  fields.ignore({"parallel_tool_calls"});  // without tools it asks for nothing
  fields.refuse({"tools", "functions", "function_call", "modalities", "audio", "prediction", "reasoning_effort",
                 "verbosity", "web_search_options", "moderation"});
}

void request_reader::make_generations(json_fields& fields) {
  if (error_) return;
  if (prompts_.size() * out_.choices_per_prompt > choices_max)
    return fields.fail(
        "invalid_value", "n",
        fmt::format("{} prompts with n {} are {} answers, and one request may ask for at most {}", prompts_.size(),
                    out_.choices_per_prompt, prompts_.size() * out_.choices_per_prompt, choices_max));
  for (const auto& one : prompts_)
    for (std::uint64_t choice = 0; choice < out_.choices_per_prompt; ++choice) {
      auto generation = base_;
      generation.prompt = one;
      // The first choice has the seed that was asked for; the others differ from it, and the same way every time.
      generation.sampling.seed ^= choice * 0x9e3779b97f4a7c15ULL;
      out_.generations.push_back(std::move(generation));
    }
}

}  // namespace

std::variant<completion_request, api_error> parse_completion_request(completion_api api, std::string_view body,
                                                                     const served_model& model,
                                                                     std::uint64_t fresh_seed) {
  auto parsed = parse_json(body);
  if (auto* refusal = std::get_if<json_refusal>(&parsed))
    return api_error{"invalid_json", std::move(refusal->message), ""};
  return request_reader(api, model, fresh_seed).read(std::get<json_tree>(parsed));
}

}  // namespace troupe
