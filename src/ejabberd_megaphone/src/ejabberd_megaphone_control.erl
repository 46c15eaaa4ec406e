%%% @doc Control packets: the messages on connection id 0 (section 4 of the link protocol). No processes, no I/O.
-module(ejabberd_megaphone_control).

-export([decode/1, encode/1, packet/1, is_secret/2, is_equal/2, check_hello/1]).
-export_type([message/0, hello/0, outgoing/0, offer/0, answer/0]).

-include("ejabberd_megaphone.hrl").

-define(MAX_BYTES, 4096).
-define(MAX_ID, 16#FFFFFFFFFFFFFFFF).
%% The smallest maxPacket that is accepted in a hello: it splits a stanza into pieces of a sane size.
-define(MIN_PACKET, 64).
%% The largest length that a packet's header can express.
-define(MAX_PACKET, 9999999999).
%% The longest instance or token.
-define(MAX_TEXT, 64).
%% No link carries more bytes.
-define(MAX_POSITION, 16#7FFFFFFFFFFFFFFF).

%% The name as it was sent is part of a link's identity; `name' is safe to print.
-type hello() :: #{name := binary(), sent_name := binary(), framing := binary(), max_packet := pos_integer(),
                   secret := binary(), version := integer(), resume := offer() | none}.
%% What a hello says about resuming the link (section 7). Without a member that is required it offers nothing. With `token' and `received' it
%% asks for the link of that token.
-type offer() :: #{instance := binary(), slot := non_neg_integer(), window := pos_integer(),
                   token => binary(), received => non_neg_integer()}.
%% What a welcome says about it. `received': the link is resumed.
-type answer() :: #{token := binary(), timeout := Ms :: pos_integer(), received => non_neg_integer()}.
-type message() :: {hello, hello()}
                 | {ping | pong, Token :: term()}
                 | {pause | resume, ejabberd_megaphone_wire:id()}
                 | {reset, ejabberd_megaphone_wire:id(), Reason :: binary()}
                 | {drain, Seconds :: number()}
                 | {ack, Received :: non_neg_integer()}
                 | {close, Reason :: binary()}
                 | ignored.
%% What this end sends.
-type outgoing() :: {welcome, #options{}, Pieces :: boolean(), answer() | none}
                  | {refuse, Reason :: binary()}
                  | {ping | pong, Token :: term()}
                  | {pause | resume, ejabberd_megaphone_wire:id()}
                  | {reset, ejabberd_megaphone_wire:id(), Reason :: binary()}
                  | drain | {drain, Seconds :: non_neg_integer()}
                  | {ack, Received :: non_neg_integer()}
                  | {close, Reason :: binary()}
                  | {logged_in, ejabberd_megaphone_wire:id()}
                  | {gone, node()}.

%% @doc Parses the content of a control packet, and counts its unknown members. `ignored': an op that is unknown, or makes no sense from an
%% ECM.
-spec decode(Content :: binary()) -> {ok, message(), Ignored :: non_neg_integer()} | {error, Why :: string()}.
decode(Content) when byte_size(Content) > ?MAX_BYTES ->
    {error, "a control packet is longer than 4096 bytes"};
decode(Content) ->
    try ejabberd_megaphone_json:decode(Content) of
        #{<<"op">> := Op} = Members when is_binary(Op) ->
            case message(Op, Members) of
                {ok, ignored} -> {ok, ignored, 1};
                {ok, Message} -> {ok, Message, ignored([<<"op">> | members(Op)], Members) + ignored_of_offer(Members)};
                Error -> Error
            end;
        _ -> {error, "a control packet is not a JSON object with a string \"op\""}
    catch
        _:_ -> {error, "a control packet is not JSON"}
    end.

ignored(Known, Members) -> map_size(maps:without(Known, Members)).

ignored_of_offer(#{<<"op">> := <<"hello">>, <<"resume">> := #{} = Members}) ->
    ignored([<<"instance">>, <<"slot">>, <<"window">>, <<"token">>, <<"received">>], Members);
ignored_of_offer(_) ->
    0.

members(<<"hello">>) -> [<<"version">>, <<"name">>, <<"framing">>, <<"secret">>, <<"maxPacket">>, <<"resume">>];
members(<<"ping">>) -> [<<"token">>];
members(<<"pong">>) -> [<<"token">>];
members(<<"pause">>) -> [<<"id">>];
members(<<"resume">>) -> [<<"id">>];
members(<<"reset">>) -> [<<"id">>, <<"reason">>];
members(<<"drain">>) -> [<<"after">>];
members(<<"ack">>) -> [<<"received">>];
members(<<"close">>) -> [<<"reason">>].

message(<<"hello">>, Members) ->
    case Members of
        #{<<"version">> := Version} when is_integer(Version) ->
            hello(#{version => Version,
                    name => maps:get(<<"name">>, Members, <<>>),
                    framing => maps:get(<<"framing">>, Members, <<"stanza">>),
                    secret => maps:get(<<"secret">>, Members, <<>>),
                    max_packet => maps:get(<<"maxPacket">>, Members, 1048576),
                    resume => maps:get(<<"resume">>, Members, null)});
        _ ->
            {error, "a hello has no version"}
    end;
message(<<"ping">>, Members) -> {ok, {ping, maps:get(<<"token">>, Members, null)}};
message(<<"pong">>, Members) -> {ok, {pong, maps:get(<<"token">>, Members, null)}};
message(<<"pause">>, Members) -> about_id(pause, Members);
message(<<"resume">>, Members) -> about_id(resume, Members);
message(<<"reset">>, Members) ->
    case {about_id(reset, Members), reason(Members)} of
        {{ok, {reset, Id}}, {ok, Reason}} -> {ok, {reset, Id, Reason}};
        {{ok, _}, error} -> {error, "the reason of a reset is not a string"};
        {Error, _} -> Error
    end;
message(<<"close">>, Members) ->
    case reason(Members) of
        {ok, Reason} -> {ok, {close, Reason}};
        error -> {error, "the reason of a close is not a string"}
    end;
message(<<"ack">>, Members) ->
    case position(maps:get(<<"received">>, Members, none)) of
        {ok, Received} -> {ok, {ack, Received}};
        error -> {error, "an ack has no \"received\" that is a string of decimal digits"}
    end;
message(<<"drain">>, Members) ->
    case maps:get(<<"after">>, Members, 0) of
        Seconds when is_number(Seconds) -> {ok, {drain, Seconds}};
        _ -> {error, "the \"after\" of a drain is not a number"}
    end;
message(_Op, _Members) ->
    {ok, ignored}.

hello(#{name := Name, framing := Framing, secret := Secret, max_packet := Max, resume := Resume} = Hello)
  when is_binary(Name), is_binary(Framing), is_integer(Max), Max >= ?MIN_PACKET, is_binary(Secret) ->
    case offer(Resume) of
        {ok, Offer} -> {ok, {hello, Hello#{name := ejabberd_megaphone_text:sanitize(Name), sent_name => Name,
                                           max_packet := min(Max, ?MAX_PACKET), resume := Offer}}};
        error -> {error, "a member of the \"resume\" of a hello has the wrong type"}
    end;
hello(#{secret := null} = Hello) ->
    hello(Hello#{secret := <<>>});
hello(_) ->
    {error, "a member of a hello has the wrong type"}.

offer(null) ->
    {ok, none};
offer(#{} = Members) ->
    Read = [{instance, fun text/1}, {slot, fun(Value) -> integer(0, Value) end}, {window, fun(Value) -> integer(1, Value) end},
            {token, fun text/1}, {received, fun position/1}],
    Offer = [{Name, Type(Value)} || {Name, Type} <- Read, {ok, Value} <- [maps:find(atom_to_binary(Name), Members)], Value =/= null],
    case {lists:keymember(error, 2, Offer), maps:from_list([{Name, Value} || {Name, {ok, Value}} <- Offer])} of
        {true, _} -> error;
        {false, #{instance := _, slot := _, window := _} = Whole} -> {ok, Whole};
        {false, _} -> {ok, none}
    end;
offer(_) ->
    error.

text(Value) when is_binary(Value), byte_size(Value) =< ?MAX_TEXT -> {ok, Value};
text(_) -> error.

integer(Least, Value) when is_integer(Value), Value >= Least -> {ok, Value};
integer(_, _) -> error.

%% A number of bytes: a decimal string, as an id is. The length of the string comes first: longer ones cost more than they may.
position(Text) when is_binary(Text), byte_size(Text) =< 19 ->
    try binary_to_integer(Text) of
        Position when Position >= 0, Position =< ?MAX_POSITION -> {ok, Position};
        _ -> error
    catch
        error:badarg -> error
    end;
position(_) ->
    error.

reason(Members) ->
    case maps:get(<<"reason">>, Members, <<>>) of
        Reason when is_binary(Reason) -> {ok, Reason};
        _ -> error
    end.

about_id(Op, #{<<"id">> := Text}) when is_binary(Text) ->
    try binary_to_integer(Text) of
        Id when Id > 0, Id =< ?MAX_ID -> {ok, {Op, Id}};
        _ -> {error, "the id in a control packet is not a connection id"}
    catch
        error:badarg -> {error, "the id in a control packet is not a number"}
    end;
about_id(_Op, _Members) ->
    {error, "a control packet has no id, or one that is not a string"}.

%% @doc Whether a hello has the secret that the listener requires, if it requires one.
-spec is_secret(hello(), #options{}) -> boolean().
is_secret(#{secret := Secret}, #options{secret = Required}) -> Required =:= <<>> orelse is_equal(Secret, Required).

%% @doc Whether a hello is acceptable otherwise; if not, the reason for the refuse.
-spec check_hello(hello()) -> ok | {refuse, Reason :: binary()}.
check_hello(#{version := Version}) when Version =/= 1 -> {refuse, <<"only version 1 is spoken here">>};
check_hello(#{framing := <<"stanza">>}) -> ok;
check_hello(_) -> {refuse, <<"framing must be \"stanza\": there is no parser per session here">>}.

%% @doc Compares two secrets in constant time: what is compared are hashes with a random key, in which the place of a difference reveals
%% nothing.
-spec is_equal(binary(), binary()) -> boolean().
is_equal(A, B) ->
    Key = crypto:strong_rand_bytes(32),
    crypto:mac(hmac, sha256, Key, A) =:= crypto:mac(hmac, sha256, Key, B).

%% @doc A control packet that carries this message, and its length.
-spec packet(outgoing()) -> {Bytes :: pos_integer(), iodata()}.
packet(Message) ->
    Content = encode(Message),
    ejabberd_megaphone_wire:packets(0, Content, byte_size(Content) + 32).

%% @doc The content of a control packet.
-spec encode(outgoing()) -> binary().
encode({welcome, #options{keep_alive = KeepAlive, max_packet = MaxPacket}, Pieces, Answer}) ->
    Welcome = #{op => <<"welcome">>, version => 1, name => atom_to_binary(node()),
                maxPacket => MaxPacket, keepAlive => max(1, KeepAlive div 1000), logins => true, pieces => Pieces},
    ejabberd_megaphone_json:encode(case Answer of
                                       none -> Welcome;
                                       _ -> Welcome#{resume => maps:fold(fun answer/3, #{window => ?WINDOW}, Answer)}
                                   end);
encode({ack, Received}) ->
    ejabberd_megaphone_json:encode(#{op => ack, received => integer_to_binary(Received)});
encode({gone, Node}) ->
    ejabberd_megaphone_json:encode(#{op => gone, name => atom_to_binary(Node)});
encode({logged_in, Id}) ->
    ejabberd_megaphone_json:encode(#{op => loggedIn, ids => [integer_to_binary(Id)]});
encode({close, Reason}) ->
    ejabberd_megaphone_json:encode(#{op => close, reason => Reason});
encode({refuse, Reason}) ->
    ejabberd_megaphone_json:encode(#{op => <<"refuse">>, reason => Reason});
encode({Op, Token}) when Op =:= ping; Op =:= pong ->
    ejabberd_megaphone_json:encode(#{op => Op, token => Token});
encode({Op, Id}) when Op =:= pause; Op =:= resume ->
    ejabberd_megaphone_json:encode(#{op => Op, id => integer_to_binary(Id)});
encode({reset, Id, Reason}) ->
    ejabberd_megaphone_json:encode(#{op => reset, id => integer_to_binary(Id), reason => Reason});
encode(drain) ->
    ejabberd_megaphone_json:encode(#{op => drain});
encode({drain, Seconds}) ->
    ejabberd_megaphone_json:encode(#{op => drain, 'after' => Seconds}).

answer(timeout, Ms, Json) -> Json#{timeout => Ms div 1000};
answer(received, Received, Json) -> Json#{received => integer_to_binary(Received)};
answer(token, Token, Json) -> Json#{token => Token}.
