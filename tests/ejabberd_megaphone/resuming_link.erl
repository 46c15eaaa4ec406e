%%% A link that can be resumed, and the ECM that has it: what tests of both need.
-module(resuming_link).

-export([with_ecm/1, with_ecm/2, connection/0, hello_with/2, cut/2, ping/0, ack_of/1, unacknowledged/1, fill_queue/1, read_until/2, read_until_seen/2,
         is_acknowledged/1, read_acknowledging_until/2]).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [with_listener/2, counted/2, wait_until/1, packet/2, send/2, control/1]).

-define(ECM_WINDOW, 65536).

with_ecm(Test) -> with_ecm(#options{}, Test).

with_ecm(Options, Test) ->
    with_listener(Options, fun(Connect, _Counters) ->
        put(connect, Connect),
        Ecm = resuming_ecm:connect(resuming_ecm:new(Connect, ?ECM_WINDOW)),
        [Link] = ets:tab2list(?LINKS),
        Test(Ecm, Link)
    end).

%% Another connection to the listener.
connection() -> (get(connect))().

%% Another connection, with these members in the `resume' of its hello.
hello_with(Resume, Ecm) ->
    Socket = connection(),
    send(Socket, resuming_ecm:hello(Resume, Ecm)),
    ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
    Socket.

cut(Ecm, Link) ->
    Cut = resuming_ecm:drop(Ecm),
    wait_until(fun() -> counted(links_cut, Link) =:= 1 end),
    Cut.

ping() -> packet(0, "{\"op\":\"ping\",\"token\":1}").

ack_of(Bytes) -> packet(0, ["{\"op\":\"ack\",\"received\":\"", integer_to_list(Bytes), "\"}"]).

unacknowledged(#link{sender = Sender}) ->
    State = sys:get_state(Sender),
    [Window] = [Field || Field <- tuple_to_list(State), is_tuple(Field), element(1, Field) =:= window],
    ejabberd_megaphone_window:unacknowledged(Window).

%% Until sessions have to wait: the ECM does not acknowledge, and does not read.
fill_queue(Link) ->
    [spawn(fun() -> ejabberd_megaphone_sender:send(Link, 1, <<0:(100000 * 8)>>) end) || _ <- lists:seq(1, 100)],
    wait_until(fun() -> ejabberd_megaphone_sender:is_full(Link) end).

%% Reads, without an acknowledgement, until that is true.
read_until(Condition, Ecm) ->
    Read = resuming_ecm:read(20, Ecm),
    case Condition(Read) of
        true -> Read;
        false -> ?assertNotEqual(none, resuming_ecm:socket(Read)), read_until(Condition, Read)
    end.

read_until_seen(Contents, Ecm) -> read_until(fun(Now) -> resuming_ecm:seen(1, Now) =:= Contents end, Ecm).

is_acknowledged(Ecm) -> resuming_ecm:unacknowledged(Ecm) =:= 0.

read_acknowledging_until(Condition, Ecm) ->
    Read = resuming_ecm:ack(resuming_ecm:read(20, Ecm)),
    case Condition(Read) of
        true -> Read;
        false -> ?assertNotEqual(none, resuming_ecm:socket(Read)), read_acknowledging_until(Condition, Read)
    end.
