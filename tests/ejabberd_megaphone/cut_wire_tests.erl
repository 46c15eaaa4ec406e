%%% A link whose connection is cut anywhere, any number of times (section 7 of the link protocol), against a model: every packet arrives once and in
%%% order, in both directions, and no more is under way than the windows allow.
-module(cut_wire_tests).


-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [with_listener/2, wait_until/1]).

%% Sessions with which everything happens, and those that only fill the windows.
-define(IDS, [1, 2, 3, 4]).
-define(FILLING, [11, 12, 13, 14, 15, 16, 17, 18]).
%% Small, so that it is often full.
-define(ECM_WINDOW, 65536).
-define(BUFFER_TOTAL, (1 bsl 30)).

everything_arrives_once_and_in_order_however_often_the_wire_is_cut_test_() ->
    property:test(?FORALL(Steps, list(step()), runs(Steps)), 100).

both_windows_full_test_() ->
    property:test(?FORALL(Steps, list(step()), runs(lists:append([fill(Id) || Id <- ?FILLING]) ++ Steps)), 20).

%% Together more than both windows and the queue, and less for each client than may be held for it.
fill(Id) -> [{out, Id, 60000} || _ <- lists:seq(1, 16)] ++ [{in, Id, 7000} || _ <- lists:seq(1, 2)].

step() ->
    frequency([{6, {in, oneof(?IDS), size()}},
               {6, {out, oneof(?IDS), size()}},
               {2, {oneof([pause, unpause, stall, go]), oneof(?IDS)}},
               {1, {oneof([finish_in, finish_out]), oneof(?IDS)}},
               {3, read},
               {2, ack},
               {1, ping},
               {2, oneof([cut, cut_in_a_packet, lose])},
               {3, take_up}]).

size() -> frequency([{4, range(1, 300)}, {1, range(1, 8000)}, {1, range(1, 40000)}]).

%% What was put in by now: the next number for each id and direction, and the ids that have ended.
-record(model, {next = #{} :: map(), ended = [] :: list(), c2s = #{} :: map(), ecm, link}).

runs(Steps) ->
    try runs_through(Steps)
    catch Class:Reason:Stack -> io:format(user, "~p ~p~n~p~n~p~n", [Class, Reason, Stack, Steps]), false
    end.

runs_through(Steps) ->
    with_listener(#options{buffer_total = ?BUFFER_TOTAL}, fun(Connect, Counters) ->
        Ecm = resuming_ecm:connect(resuming_ecm:new(Connect, ?ECM_WINDOW)),
        [Link] = ets:tab2list(?LINKS),
        C2S = maps:from_list([{Id, session(Link, Id)} || Id <- ?IDS ++ ?FILLING]),
        Done = lists:foldl(fun step/2, #model{c2s = C2S, ecm = Ecm, link = Link}, Steps),
        [Pid ! go || Pid <- maps:values(C2S)],
        Unpaused = lists:foldl(fun(Id, Model) -> step({unpause, Id}, Model) end, step(take_up, Done), ?IDS),
        settles(Unpaused, erlang:monotonic_time(millisecond) + 20000)
            andalso test_link:counted(protocol_errors, Counters) =:= 0
            andalso test_link:buffered(Link) =:= 0
    end).

step({in, Id, Size}, #model{ecm = Ecm, ended = Ended} = Model) ->
    case lists:member(Id, Ended) of
        true -> Model;
        false -> {Content, Next} = content(in, Id, Size, Model), Next#model{ecm = resuming_ecm:send(Id, Content, Ecm)}
    end;
step({out, Id, Size}, #model{c2s = C2S, ended = Ended} = Model) ->
    case lists:member(Id, Ended) of
        true -> Model;
        false -> {Content, Next} = content(out, Id, Size, Model), maps:get(Id, C2S) ! {send, Content}, Next
    end;
step({pause, Id}, Model) -> control("pause", Id, Model);
step({unpause, Id}, Model) -> control("resume", Id, Model);
step({Word, Id}, #model{c2s = C2S} = Model) when Word =:= stall; Word =:= go -> maps:get(Id, C2S) ! Word, Model;
step({finish_in, Id}, #model{ecm = Ecm, ended = Ended} = Model) ->
    case lists:member(Id, Ended) of
        true -> Model;
        false -> Model#model{ecm = resuming_ecm:send(Id, <<>>, Ecm), ended = [Id | Ended], next = ends({in, Id}, Model)}
    end;
step({finish_out, Id}, #model{c2s = C2S, ended = Ended} = Model) ->
    case lists:member(Id, Ended) of
        true -> Model;
        false -> maps:get(Id, C2S) ! finish, Model#model{ended = [Id | Ended], next = ends({out, Id}, Model)}
    end;
step(read, #model{ecm = Ecm} = Model) -> Model#model{ecm = resuming_ecm:read(1, Ecm)};
step(ack, #model{ecm = Ecm} = Model) -> Model#model{ecm = resuming_ecm:ack(Ecm)};
step(ping, #model{ecm = Ecm} = Model) -> Model#model{ecm = resuming_ecm:control("{\"op\":\"ping\",\"token\":1}", Ecm)};
step(cut, #model{ecm = Ecm} = Model) -> Model#model{ecm = resuming_ecm:drop(Ecm)};
step(cut_in_a_packet, #model{ecm = Ecm} = Model) -> Model#model{ecm = resuming_ecm:send_part(Ecm)};
step(lose, #model{ecm = Ecm} = Model) -> Model#model{ecm = resuming_ecm:leave(Ecm)};
step(take_up, #model{ecm = Ecm} = Model) ->
    case resuming_ecm:socket(Ecm) of
        none -> Model#model{ecm = resuming_ecm:connect(Ecm)};
        _ -> Model
    end.

control(Op, Id, #model{ecm = Ecm} = Model) ->
    Model#model{ecm = resuming_ecm:control(["{\"op\":\"", Op, "\",\"id\":\"", integer_to_list(Id), "\"}"], Ecm)}.

content(Direction, Id, Size, #model{next = Next} = Model) ->
    Number = maps:get({Direction, Id}, Next, 0),
    {<<Number:32, 0:(Size * 8)>>, Model#model{next = Next#{{Direction, Id} => Number + 1}}}.

%% The direction ends with an empty packet.
ends(Key, #model{next = Next}) -> Next#{Key => {maps:get(Key, Next, 0), ended}}.

%% Everything arrives in the end, if the ECM reads and acknowledges.
settles(#model{ecm = Ecm0} = Model, Deadline) ->
    Ecm = resuming_ecm:ack(resuming_ecm:read(5, Ecm0)),
    case has_arrived(Model#model{ecm = Ecm}) of
        true -> true;
        false ->
            case resuming_ecm:socket(Ecm) =/= none andalso erlang:monotonic_time(millisecond) < Deadline of
                true -> settles(Model#model{ecm = Ecm}, Deadline);
                false -> false
            end
    end.

has_arrived(#model{ecm = Ecm, c2s = C2S} = Model) ->
    lists:all(fun(Id) -> expected({out, Id}, Model) =:= numbers(resuming_ecm:seen(Id, Ecm)) end, maps:keys(C2S))
        andalso lists:all(fun(Id) -> is_expected_in(Id, numbers(received(maps:get(Id, C2S))), Model) end, maps:keys(C2S)).

%% What is under way to a session that ends is dropped.
is_expected_in(Id, Numbers, #model{next = Next} = Model) ->
    case maps:get({out, Id}, Next, 0) of
        {_, ended} -> lists:prefix(Numbers, expected({in, Id}, Model));
        _ -> Numbers =:= expected({in, Id}, Model)
    end.

expected(Key, #model{next = Next}) ->
    case maps:get(Key, Next, 0) of
        {Count, ended} -> lists:seq(0, Count - 1) ++ [ended];
        Count -> lists:seq(0, Count - 1)
    end.

numbers(Contents) -> [case Content of <<Number:32, _/binary>> -> Number; <<>> -> ended end || Content <- Contents].

%%% Stands for a c2s process.

session(Link, Id) ->
    Test = self(),
    Pid = spawn(fun() -> monitor(process, Test), c2s(Link, Id, []) end),
    ok = ejabberd_megaphone_sessions:opened(Link, Id, Pid),
    Pid.

received(Pid) ->
    Pid ! {received, self()},
    receive {received, Pid, Contents} -> Contents after 50000 -> exit(no_answer) end.

c2s(Link, Id, Received) ->
    receive
        {ejabberd_megaphone, {packet, Content}} ->
            ejabberd_megaphone_delivery:taken(Link, Id, Content),
            c2s(Link, Id, [Content | Received]);
        {send, Content} ->
            ok = ejabberd_megaphone_sender:send(Link, Id, Content),
            c2s(Link, Id, Received);
        finish ->
            true = ejabberd_megaphone_sessions:close(Link, Id),
            ok = ejabberd_megaphone_sender:send_end(Link, Id),
            c2s(Link, Id, Received);
        stall ->
            stalled(),
            c2s(Link, Id, Received);
        go ->
            c2s(Link, Id, Received);
        {received, From} ->
            From ! {received, self(), lists:reverse(Received)},
            c2s(Link, Id, Received);
        {'DOWN', _, _, _, _} ->
            ok
    end.

stalled() ->
    receive
        stall -> stalled();
        go -> ok;
        {'DOWN', _, _, _, _} -> ok
    end.
