// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace_report.hpp"

#include <limits>
#include <stdexcept>

#include <fmt/format.h>
#include <msgpack.hpp>

#include "runtime/trace/trace_query.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t report_version = 1;
constexpr std::size_t event_fields = 11;
constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t depth_max = 5;

using packer = msgpack::packer<msgpack::sbuffer>;

void pack_event(packer& to, const trace_event& x) {
  to.pack_array(event_fields);
  to.pack(x.time_ns).pack(x.request.high).pack(x.request.low).pack(x.epoch).pack(x.step).pack(x.position);
  to.pack(x.count).pack(x.group).pack(x.rank).pack(static_cast<std::uint8_t>(x.hop)).pack(x.code);
}

void pack_record(packer& to, const flight_record& x) {
  to.pack_map(10);
  to.pack("role").pack(x.identity.role);
  to.pack("node").pack(x.identity.node);
  to.pack("process").pack(x.identity.process);
  to.pack("machine").pack(x.identity.machine);
  to.pack("started").pack(x.identity.started_ns);
  to.pack("wall").pack(x.identity.wall_offset_ns);
  to.pack("names").pack(x.names);
  to.pack("lost").pack(x.lost);
  to.pack("problem").pack(x.problem.substr(0, text_bytes_max));
  to.pack("events").pack_array(static_cast<std::uint32_t>(x.events.size()));
  for (const auto& event : x.events)
    pack_event(to, event);
}

/// Looks at msgpack objects; throws std::runtime_error that names what is wrong.
[[noreturn]] void refuse(const std::string& what) { throw std::runtime_error(what); }

std::uint64_t number(const msgpack::object& x, std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
  if (x.type != msgpack::type::POSITIVE_INTEGER || x.via.u64 > max) refuse("a number is none, or out of its range");
  return x.via.u64;
}

std::int64_t signed_number(const msgpack::object& x) {
  if (x.type != msgpack::type::NEGATIVE_INTEGER) return static_cast<std::int64_t>(number(x, flight_time_max));
  if (x.via.i64 < -static_cast<std::int64_t>(flight_time_max)) refuse("a number is out of its range");
  return x.via.i64;
}

std::string text(const msgpack::object& x) {
  if (x.type != msgpack::type::STR || x.via.str.size > text_bytes_max) refuse("a text is none, or too long");
  std::string result{x.via.str.ptr, x.via.str.size};
  for (auto& c : result)
    if (c < ' ' || c > '~') c = '?';  // it goes to terminals
  return result;
}

const msgpack::object_array& array(const msgpack::object& x) {
  if (x.type != msgpack::type::ARRAY) refuse("a list is none");
  return x.via.array;
}

template <class Number>
Number narrow(const msgpack::object& x) {
  return static_cast<Number>(number(x, std::numeric_limits<Number>::max()));
}

trace_event event_of(const msgpack::object& packed) {
  const auto& fields = array(packed);
  if (fields.size != event_fields) refuse(fmt::format("an event has {} fields, not {}", fields.size, event_fields));
  const auto* at = fields.ptr;
  return {number(at[0], flight_time_max),
          {number(at[1]), number(at[2])},
          number(at[3]),
          number(at[4]),
          narrow<std::uint32_t>(at[5]),
          narrow<std::uint32_t>(at[6]),
          narrow<std::uint16_t>(at[7]),
          narrow<std::uint16_t>(at[8]),
          static_cast<trace_hop>(number(at[9], static_cast<std::uint64_t>(last_trace_hop))),
          narrow<std::uint8_t>(at[10])};
}

flight_record record_of(const msgpack::object& packed) {
  if (packed.type != msgpack::type::MAP) refuse("a record is no map");
  flight_record record;
  for (std::uint32_t i = 0; i < packed.via.map.size; ++i) {
    const auto& [key, value] = packed.via.map.ptr[i];
    const auto field = text(key);
    if (field == "role")
      record.identity.role = text(value);
    else if (field == "node")
      record.identity.node = text(value);
    else if (field == "process")
      record.identity.process = number(value);
    else if (field == "machine")
      record.identity.machine = number(value);
    else if (field == "started")
      record.identity.started_ns = number(value);
    else if (field == "wall")
      record.identity.wall_offset_ns = signed_number(value);
    else if (field == "lost")
      record.lost = number(value);
    else if (field == "problem")
      record.problem = text(value);
    else if (field == "names")
      for (std::uint32_t n = 0; n < array(value).size; ++n)
        record.names.push_back(text(value.via.array.ptr[n]));
    else if (field == "events")
      for (std::uint32_t n = 0; n < array(value).size; ++n)
        record.events.push_back(event_of(value.via.array.ptr[n]));
  }
  return record;
}

}  // namespace

std::string pack_records(const std::vector<flight_record>& records) {
  msgpack::sbuffer buffer;
  packer to{buffer};
  to.pack_array(static_cast<std::uint32_t>(records.size() + 1));
  to.pack(report_version);
  for (const auto& record : records)
    pack_record(to, record);
  return {buffer.data(), buffer.size()};
}

unpacked_records unpack_records(std::string_view bytes) {
  unpacked_records result;
  if (bytes.size() > trace_report_bytes_max) {
    result.problem = fmt::format("a report of {} bytes; at most {} are right", bytes.size(), trace_report_bytes_max);
    return result;
  }
  try {
    // An element takes at least a byte, so what the bytes may ask for is bounded by their number.
    const auto elements = bytes.size();
    auto handle = msgpack::unpack(bytes.data(), bytes.size(), nullptr, nullptr,
                                  msgpack::unpack_limit(elements, 64, text_bytes_max, 0, 0, depth_max));
    const auto& all = array(handle.get());
    if (all.size == 0 || number(all.ptr[0]) != report_version)
      refuse(fmt::format("it is not of version {}, which this program reads", report_version));
    for (std::uint32_t i = 1; i < all.size; ++i)
      result.records.push_back(record_of(all.ptr[i]));
  } catch (const std::exception& error) {  // msgpack's own exceptions have no common base but this one
    result.records.clear();
    result.problem = fmt::format("the report cannot be read: {}", error.what());
  }
  return result;
}

}  // namespace troupe
