// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/journal_record.hpp"

#include <limits>

#include <boost/crc.hpp>
#include <nlohmann/json.hpp>

namespace troupe {

namespace {

using nlohmann::json;

std::uint32_t checksum_of(std::string_view bytes) {
  boost::crc_32_type sum;
  sum.process_bytes(bytes.data(), bytes.size());
  return sum.checksum();
}

void append_word(std::string& out, std::uint32_t word) {
  for (int shift = 0; shift < 32; shift += 8)
    out += static_cast<char>(word >> shift & 0xffU);
}

std::uint32_t read_word(std::string_view bytes) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i)
    word |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return word;
}

json json_of(const generation& what) {
  json messages = json::array();
  for (const auto& message : what.prompt.messages)
    messages.push_back({message.role, message.content});
  const auto& sampling = what.sampling;
  return {{"model", what.model},
          {"kind", static_cast<int>(what.prompt.kind)},
          {"text", what.prompt.text},
          {"messages", std::move(messages)},
          {"tokens", what.prompt.tokens},
          {"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"min_p", sampling.min_p},
          {"repetition_penalty", sampling.repetition_penalty},
          {"presence_penalty", sampling.presence_penalty},
          {"frequency_penalty", sampling.frequency_penalty},
          {"logit_bias", sampling.logit_bias},
          {"seed", sampling.seed},
          {"draw_seed", what.draw_seed},
          {"logprobs", sampling.logprobs},
          {"max_tokens", what.stops.max_tokens},
          {"stop_ids", what.stops.stop_ids},
          {"ignore_eos", what.stops.ignore_eos},
          {"stop_strings", what.stop_strings},
          {"include_stop", what.include_stop},
          {"priority", what.priority}};
}

/// Throws json::exception for what is missing or of another kind.
generation generation_of(const json& from) {
  generation what;
  from.at("model").get_to(what.model);
  const auto kind = from.at("kind").get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(prompt_kind::tokens)) throw std::out_of_range("kind");
  what.prompt.kind = static_cast<prompt_kind>(kind);
  from.at("text").get_to(what.prompt.text);
  for (const auto& message : from.at("messages"))
    what.prompt.messages.push_back({message.at(0).get<std::string>(), message.at(1).get<std::string>()});
  from.at("tokens").get_to(what.prompt.tokens);
  auto& sampling = what.sampling;
  from.at("temperature").get_to(sampling.temperature);
  from.at("top_k").get_to(sampling.top_k);
  from.at("top_p").get_to(sampling.top_p);
  from.at("min_p").get_to(sampling.min_p);
  from.at("repetition_penalty").get_to(sampling.repetition_penalty);
  from.at("presence_penalty").get_to(sampling.presence_penalty);
  from.at("frequency_penalty").get_to(sampling.frequency_penalty);
  from.at("logit_bias").get_to(sampling.logit_bias);
  from.at("seed").get_to(sampling.seed);
  from.at("draw_seed").get_to(what.draw_seed);
  from.at("logprobs").get_to(sampling.logprobs);
  from.at("max_tokens").get_to(what.stops.max_tokens);
  from.at("stop_ids").get_to(what.stops.stop_ids);
  from.at("ignore_eos").get_to(what.stops.ignore_eos);
  from.at("stop_strings").get_to(what.stop_strings);
  from.at("include_stop").get_to(what.include_stop);
  from.at("priority").get_to(what.priority);
  return what;
}

/// Only looks: a document may be hostile, and the reader of nested arrays calls itself.
class depth_check : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= depth_max; }
  bool start_array(std::size_t) override { return ++depth_ <= depth_max; }
  bool end_object() override { return --depth_ >= 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  static constexpr int depth_max = 8;
  int depth_ = 0;
};

request_key key_of(const json& from) { return {from.at(0).get<std::uint64_t>(), from.at(1).get<std::uint64_t>()}; }

/// Throws what the JSON library throws for what is no record.
journal_record record_of(std::string_view payload) {
  depth_check check;
  if (!json::sax_parse(payload.begin(), payload.end(), &check, json::input_format_t::msgpack))
    throw std::out_of_range("no document");
  const auto document = json::from_msgpack(payload.begin(), payload.end());
  const auto what = document.at("what").get<std::string>();
  const auto key = key_of(document.at("key"));
  if (what == "accepted") return journal_accepted{key, generation_of(document.at("request"))};
  if (what == "extended") return journal_extended{key, document.at("tokens").get<std::vector<token_id>>()};
  if (what == "ended") return journal_ended{key};
  throw std::out_of_range("what");
}

}  // namespace

std::string format_journal_record(const journal_record& record) {
  json document;
  const auto name = [&document](const char* what, const request_key& key) {
    document["what"] = what;
    document["key"] = {key.high, key.low};
  };
  if (const auto* accepted = std::get_if<journal_accepted>(&record)) {
    name("accepted", accepted->key);
    document["request"] = json_of(accepted->what);
  } else if (const auto* extended = std::get_if<journal_extended>(&record)) {
    name("extended", extended->key);
    document["tokens"] = extended->tokens;
  } else {
    name("ended", std::get<journal_ended>(record).key);
  }
  std::string payload;
  json::to_msgpack(document, payload);
  std::string out;
  append_word(out, static_cast<std::uint32_t>(payload.size()));
  append_word(out, checksum_of(payload));
  return out + payload;
}

std::optional<journal_record> take_journal_record(std::string_view& bytes) {
  if (bytes.size() < journal_header_bytes) return std::nullopt;
  const auto length = read_word(bytes);
  if (length > journal_record_bytes_max || length > bytes.size() - journal_header_bytes) return std::nullopt;
  const auto payload = bytes.substr(journal_header_bytes, length);
  if (checksum_of(payload) != read_word(bytes.substr(4))) return std::nullopt;
  try {
    auto record = record_of(payload);
    bytes.remove_prefix(journal_header_bytes + length);
    return record;
  } catch (const std::exception&) {  // of the JSON library, or an out_of_range of ours: it is no record
    return std::nullopt;
  }
}

}  // namespace troupe
