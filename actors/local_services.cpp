// SPDX-License-Identifier: Apache-2.0
#include "actors/local_services.hpp"

#include <utility>

namespace troupe {

local_services::local_services(local_service_factories make) : make_(std::move(make)) {
  for (std::size_t i = 0; i < make_.tokenizers; ++i)
    text_.tokenizers.push_back(make_.make_tokenizer());
  text_.detokenizer = make_.make_detokenizer();
  router_ = make_.make_router(text_);
  if (make_.make_topology) topology_ = make_.make_topology();
}

local_services::~local_services() {
  for (const auto& actor : all())
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

std::vector<caf::actor> local_services::all() const {
  std::vector<caf::actor> result;
  for (const auto& tokenizer : text_.tokenizers)
    result.push_back(caf::actor_cast<caf::actor>(tokenizer));
  result.push_back(caf::actor_cast<caf::actor>(text_.detokenizer));
  result.push_back(caf::actor_cast<caf::actor>(router_));
  if (topology_) result.push_back(caf::actor_cast<caf::actor>(topology_));
  return result;
}

caf::actor local_services::find(const std::string& service) const {
  std::lock_guard lock{naming_};
  if (service == "tokenizer" && !text_.tokenizers.empty()) return caf::actor_cast<caf::actor>(text_.tokenizers.front());
  if (service == "detokenizer") return caf::actor_cast<caf::actor>(text_.detokenizer);
  if (service == "router") return caf::actor_cast<caf::actor>(router_);
  if (service == "topology" && topology_) return caf::actor_cast<caf::actor>(topology_);
  return {};
}

bool local_services::may_replace(const std::string& service, time_point now) {
  auto& times = replacements_[service];
  while (!times.empty() && now - times.front() > replacement_window)
    times.pop_front();
  if (times.size() >= replacements_max) return false;
  times.push_back(now);
  return true;
}

local_services::replacement local_services::replace(const caf::actor_addr& ended, time_point now) {
  auto again = [&](const char* service, auto& handle, const auto& make) -> replacement {
    if (!may_replace(service, now)) return {service, nullptr};
    auto fresh = make();
    std::lock_guard lock{naming_};
    handle = std::move(fresh);
    return {service, caf::actor_cast<caf::actor>(handle)};
  };
  for (auto& tokenizer : text_.tokenizers)
    if (tokenizer.address() == ended) return again("tokenizer", tokenizer, make_.make_tokenizer);
  if (text_.detokenizer.address() == ended) return again("detokenizer", text_.detokenizer, make_.make_detokenizer);
  if (router_.address() == ended) return again("router", router_, [this] { return make_.make_router(text_); });
  if (topology_ && topology_.address() == ended) return again("topology", topology_, make_.make_topology);
  return {};
}

}  // namespace troupe
