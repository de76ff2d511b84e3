// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world/network.hpp"

#include <algorithm>

#include <caf/binary_serializer.hpp>
#include <caf/scoped_execution_unit.hpp>

namespace troupe::simulation {
namespace {

// CAF's heartbeat as the product sets it: every 100 ms, and a peer that is silent for 500 ms is gone.
constexpr std::uint64_t silence_ms = 500;
constexpr std::uint64_t heartbeat_ms = 100;

caf::error link_lost() { return caf::exit_reason::remote_link_unreachable; }

}  // namespace

network::network(timeline& time, random_stream random, network_options options)
    : time_(time), random_(random), options_(options) {}

void network::add(process& member) { members_[member.id()] = &member; }

process* network::by_id(std::uint32_t id) const {
  auto found = members_.find(id);
  return found == members_.end() || !found->second->alive() ? nullptr : found->second;
}

process* network::find(const caf::node_id& node) const { return by_id(process::id_of(node)); }

network::pair_key network::key_of(const process& a, const process& b) {
  return {std::min(a.id(), b.id()), std::max(a.id(), b.id())};
}

network::connection* network::find(const process& a, const process& b) {
  auto found = connections_.find(key_of(a, b));
  return found == connections_.end() ? nullptr : &found->second;
}

network::way& network::way_of(connection& between, const process& from) const {
  return &from == between.low ? between.forward : between.backward;
}

process& network::peer_of(connection& between, const process& of) const {
  return &of == between.low ? *between.high : *between.low;
}

bool network::connected(const process& from, const caf::node_id& to) const {
  auto peer = process::id_of(to);
  auto found = connections_.find({std::min(from.id(), peer), std::max(from.id(), peer)});
  if (found == connections_.end()) return false;
  const auto& between = found->second;
  return between.low == &from ? between.forward.open : between.backward.open;
}

span network::delay(const process& from, const process& to) {
  auto local = from.host() == to.host();
  auto least = local ? options_.delay_us / 10 + 20 : options_.delay_us;
  auto more = local ? options_.jitter_us / 10 + 20 : options_.jitter_us;
  auto result = us(least + random_.below(more + 1));
  if (options_.spike > 0 && random_.chance(options_.spike)) result += ms(random_.below(options_.spike_ms + 1));
  return result;
}

void network::send(process& from, const caf::node_id& to, caf::actor_id target, caf::mailbox_element_ptr what) {
  if (muted_.count(from.id()) > 0) return;
  auto* peer = find(to);
  if (peer == nullptr) return;
  frame message;
  message.target = target;
  message.message_id = what->mid.integer_value();
  if (what->sender) {
    message.sender = what->sender->id();
    message.sender_node = what->sender->node();
    // An answer can only find an actor that is registered.
    if (message.sender_node == from.node()) from.system().registry().put(message.sender, what->sender);
  }
  caf::scoped_execution_unit unit{&from.system()};
  unit.proxy_registry_ptr(&from.proxies());
  caf::binary_serializer sink{&unit, message.payload};
  if (!sink.apply(what->payload)) return complain("a message could not be written: " + to_string(sink.get_error()));
  if (on_send) on_send(from, *peer, what->payload);
  if (repeat && repeat(what->payload)) put(from, *peer, message);
  put(from, *peer, std::move(message));
}

void network::watch(process& from, const caf::node_id& to, caf::actor_id target) {
  auto* peer = find(to);
  if (peer == nullptr || muted_.count(from.id()) > 0) return;
  frame request;
  request.what = frame::kind::watch;
  request.target = target;
  put(from, *peer, std::move(request));
}

void network::put(process& from, process& to, frame what) {
  auto* between = find(from, to);
  if (between == nullptr || !way_of(*between, from).open) return;
  auto& along = way_of(*between, from);
  what.connection = between->id;
  auto arrival = time_.now() + delay(from, to);
  // One actor's messages to another stay in order; others may overtake them where `reorder` is on.
  auto& floor = options_.reorder ? along.last_of_pair[{what.sender, what.target}] : along.last_arrival;
  // What says that the connection ends comes after everything that was sent on it.
  if (what.what == frame::kind::closed) arrival = std::max(arrival, along.last_arrival);
  arrival = std::max(arrival, floor);
  floor = arrival;
  along.last_arrival = std::max(along.last_arrival, arrival);
  ++frames;
  time_.at(arrival,
           [this, a = from.id(), b = to.id(), what = std::move(what)]() mutable { arrive(a, b, std::move(what)); });
}

void network::arrive(std::uint32_t from_id, std::uint32_t to_id, frame what) {
  auto* to = by_id(to_id);
  auto member = members_.find(from_id);
  if (to == nullptr || member == members_.end()) return;
  auto& from = *member->second;  // may have died since: what it sent is still on its way
  auto* between = find(from, *to);
  if (between == nullptr || between->id != what.connection || between->broken) return;
  auto& along = way_of(*between, from);
  if (to->frozen() || cut(from.host(), to->host()) || !along.held.empty()) {
    along.held.push_back(std::move(what));
    return;
  }
  hand_over(*between, from, *to, std::move(what));
}

void network::hand_over(connection& between, process& from, process& to, frame what) {
  if (!way_of(between, to).open) return;  // this side has given the connection up
  switch (what.what) {
    case frame::kind::message:
      to.receive(what);
      break;
    case frame::kind::watch: {
      auto actor = to.system().registry().get<caf::strong_actor_ptr>(what.target);
      auto tell = [this, a = to.id(), b = from.id(), target = what.target](const caf::error& reason) {
        auto *home = by_id(a), *watcher = by_id(b);
        if (home == nullptr || watcher == nullptr || muted_.count(a) > 0) return;
        frame down;
        down.what = frame::kind::down;
        down.target = target;
        down.reason = reason;
        put(*home, *watcher, std::move(down));
      };
      if (actor)
        actor->get()->attach_functor(tell);
      else
        tell(caf::exit_reason::unknown);
      break;
    }
    case frame::kind::down:
      to.proxies().erase(from.node(), what.target, what.reason);
      break;
    case frame::kind::closed:
      close_side(between, to, link_lost());
      break;
  }
}

void network::flush(process& from, process& to) {
  while (auto* between = find(from, to)) {
    auto& along = way_of(*between, from);
    if (along.held.empty() || to.frozen() || cut(from.host(), to.host())) return;
    auto what = std::move(along.held.front());
    along.held.pop_front();
    if (what.connection == between->id) hand_over(*between, from, to, std::move(what));
  }
}

/// Brings `usable` of the way from `from` up to date; a way that has just become unusable is looked at again when its
/// other end has heard nothing for too long.
void network::refresh(connection& between, process& from) {
  auto& to = peer_of(between, from);
  auto& along = way_of(between, from);
  auto usable = from.alive() && muted_.count(from.id()) == 0 && !from.frozen() && along.open && !between.broken &&
                !cut(from.host(), to.host());
  if (usable == along.usable) return;
  along.usable = usable;
  ++along.changes;
  if (usable) return;
  along.unusable_since = time_.now();
  time_.after(ms(silence_ms + random_.below(heartbeat_ms)),
              [this, a = from.id(), b = to.id(), id = between.id, changes = along.changes] {
                check_silence(a, b, id, changes);
              });
}

void network::check_silence(std::uint32_t from_id, std::uint32_t to_id, std::uint64_t id, std::uint64_t changes) {
  auto found = connections_.find({std::min(from_id, to_id), std::max(from_id, to_id)});
  if (found == connections_.end() || found->second.id != id) return;
  auto& between = found->second;
  auto& from = between.low->id() == from_id ? *between.low : *between.high;
  auto& along = way_of(between, from);
  if (along.usable || along.changes != changes) return;
  auto& to = peer_of(between, from);
  if (!to.alive() || to.frozen()) return;  // looked at again when it thaws
  close_side(between, to, link_lost());
}

/// One side gives the connection up: its proxies of the other side die, and the other side is told if it can be.
void network::close_side(connection& between, process& side, const caf::error&) {
  auto& own = way_of(between, side);
  if (!own.open) return;
  auto& peer = peer_of(between, side);
  ++lost_connections;
  frame closed;
  closed.what = frame::kind::closed;
  put(side, peer, std::move(closed));
  own.open = false;
  refresh(between, side);
  auto key = key_of(side, peer);
  auto gone = peer.node();
  drop_if_closed(key);
  if (side.alive() && muted_.count(side.id()) == 0) side.proxies().erase(gone);
}

void network::drop_if_closed(const pair_key& key) {
  auto found = connections_.find(key);
  if (found == connections_.end()) return;
  auto& between = found->second;
  auto gone = [this](const process& p, const way& w) { return !w.open || !p.alive() || muted_.count(p.id()) > 0; };
  if (gone(*between.low, between.forward) && gone(*between.high, between.backward)) connections_.erase(found);
}

std::uint16_t network::publish(process& home, const std::string& host, std::uint16_t port,
                               const caf::strong_actor_ptr& whom, std::set<std::string> interface) {
  if (port == 0) port = next_port_++;
  home.system().registry().put(whom->id(), whom);
  listeners_[{host, port}] = {&home, whom->address(), whom->id(), std::move(interface)};
  return port;
}

void network::connect(process& from, const std::string& host, std::uint16_t port,
                      std::function<void(connect_outcome)> done) {
  auto listens = listeners_.find({host, port});
  auto wait = listens == listeners_.end() ? us(options_.delay_us)
                                          : delay(from, *listens->second.home) + delay(*listens->second.home, from);
  time_.after(wait, [this, id = from.id(), host, port, done = std::move(done)] {
    if (auto* alive = by_id(id)) establish(*alive, host, port, 0, done);
  });
}

void network::establish(process& from, const std::string& host, std::uint16_t port, int tries,
                        const std::function<void(connect_outcome)>& done) {
  constexpr int tries_max = 100;  // of 50 ms each: longer than anyone waits
  auto later = [&] {
    if (tries >= tries_max) return done({caf::make_error(caf::sec::cannot_connect_to_node), {}, {}, {}});
    time_.after(ms(50), [this, id = from.id(), host, port, tries, done] {
      if (auto* alive = by_id(id)) establish(*alive, host, port, tries + 1, done);
    });
  };
  if (from.frozen()) return later();
  auto listens = listeners_.find({host, port});
  if (listens == listeners_.end()) return done({caf::make_error(caf::sec::cannot_connect_to_node), {}, {}, {}});
  auto& home = *listens->second.home;
  if (cut(from.host(), home.host()) || cut(home.host(), from.host()) || home.frozen()) return later();
  if (!home.alive()) return done({caf::make_error(caf::sec::cannot_connect_to_node), {}, {}, {}});
  if (&home == &from) return done({caf::make_error(caf::sec::cannot_connect_to_node), {}, {}, {}});
  auto* between = find(from, home);
  if (between != nullptr && (between->broken || !(between->forward.open && between->backward.open))) {
    // Not everybody has noticed yet that the last connection is gone: they notice now, and the attempt fails.
    auto key = key_of(from, home);
    if (between->forward.open) close_side(*between, *between->low, link_lost());
    if (auto left = connections_.find(key); left != connections_.end() && left->second.backward.open)
      close_side(left->second, *left->second.high, link_lost());
    return done({caf::make_error(caf::sec::cannot_connect_to_node), {}, {}, {}});
  }
  if (between == nullptr) {
    auto& made = connections_[key_of(from, home)];
    made.id = ++connections_made_;
    made.low = from.id() < home.id() ? &from : &home;
    made.high = from.id() < home.id() ? &home : &from;
  }
  auto actor = from.proxies().get_or_put(home.node(), listens->second.id);
  done({{}, home.node(), std::move(actor), listens->second.interface});
}

void network::mute(process& dying) {
  if (!muted_.insert(dying.id()).second) return;
  std::erase_if(listeners_, [&](const auto& entry) { return entry.second.home == &dying; });
  std::vector<pair_key> touched;
  for (auto& [key, between] : connections_)
    if (between.low == &dying || between.high == &dying) touched.push_back(key);
  for (const auto& key : touched) {
    auto& between = connections_.at(key);
    auto& peer = peer_of(between, dying);
    // The kernel of the dead process's host says so, where the link lets it; else silence does.
    frame closed;
    closed.what = frame::kind::closed;
    put(dying, peer, std::move(closed));
    refresh(between, dying);
    drop_if_closed(key);
  }
}

void network::set_cut(const std::string& from, const std::string& to, bool cut_it) {
  if (cut_it)
    cuts_.insert({from, to});
  else
    cuts_.erase({from, to});
  std::vector<std::pair<process*, process*>> ways;
  for (auto& [key, between] : connections_) {
    refresh(between, *between.low);
    refresh(between, *between.high);
    ways.emplace_back(between.low, between.high);
    ways.emplace_back(between.high, between.low);
  }
  if (cut_it) return;
  for (auto [a, b] : ways)
    if (a->host() == from && b->host() == to && b->alive()) flush(*a, *b);
}

void network::freeze_changed(process& which) {
  std::vector<process*> peers;
  for (auto& [key, between] : connections_) {
    if (between.low != &which && between.high != &which) continue;
    refresh(between, which);
    peers.push_back(&peer_of(between, which));
  }
  if (which.frozen()) return;
  for (auto* peer : peers)
    flush(*peer, which);
  for (auto* peer : peers) {
    auto* between = find(*peer, which);
    if (between == nullptr) continue;
    const auto& along = way_of(*between, *peer);
    if (!along.usable && time_.now() - along.unusable_since >= ms(silence_ms)) close_side(*between, which, link_lost());
  }
}

void network::reset(process& a, process& b) {
  auto* between = find(a, b);
  if (between == nullptr) return;
  for (auto* side : {&a, &b})
    time_.after(us(random_.below(1000 * silence_ms)),
                [this, id = between->id, x = side->id(), low = a.id(), high = b.id()] {
                  auto found = connections_.find({std::min(low, high), std::max(low, high)});
                  auto* home = by_id(x);
                  if (found != connections_.end() && found->second.id == id && home != nullptr && !home->frozen())
                    close_side(found->second, *home, link_lost());
                });
  // Nothing gets through from now on, as after a lost route: what is in flight is gone.
  between->broken = true;
  between->forward.held.clear();
  between->backward.held.clear();
  refresh(*between, a);
  refresh(*between, b);
}

std::vector<std::pair<process*, process*>> network::open_connections() const {
  std::vector<std::pair<process*, process*>> result;
  for (const auto& [key, between] : connections_)
    if (!between.broken && between.forward.open && between.backward.open && between.low->alive() &&
        between.high->alive())
      result.emplace_back(between.low, between.high);
  return result;
}

}  // namespace troupe::simulation
