%%% What is sent, kept and acknowledged on a link that can be resumed: values without processes.
-module(window_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").

-define(WINDOW, 2097152).

whole_packets_end_before_the_limit_test() ->
    Packets = iolist_to_binary([packet(1, 8), packet(1, 0), packet(1, 100)]),
    [?assertEqual(Bytes, ejabberd_megaphone_wire:whole_packets(Packets, Max))
     || {Max, Bytes} <- [{0, 0}, {39, 0}, {40, 40}, {71, 40}, {72, 72}, {203, 72}, {204, 204}, {9999, 204}]].

%% Whatever the ECM acknowledges, what is kept is exactly the rest of what was sent.
what_is_kept_is_what_was_not_acknowledged_test_() ->
    property:test(
      ?FORALL({Sizes, Ack, Cut}, {list(list(range(0, 50))), range(0, 100), range(0, 100)},
              begin
                  Batches = [iolist_to_binary([packet(1, Size) || Size <- Batch]) || Batch <- Sizes, Batch =/= []],
                  Ends = [0 | ends(iolist_to_binary(Batches), 0)],
                  Sent = lists:foldl(fun(Batch, Kept) -> ejabberd_megaphone_unacknowledged:add(byte_size(Batch), Batch, Kept) end,
                                     ejabberd_megaphone_unacknowledged:new(), Batches),
                  Acknowledged = pick(Ack, Ends),
                  Received = pick(Cut, Ends),
                  Kept = ejabberd_megaphone_unacknowledged:acknowledge(Acknowledged, Sent),
                  case ejabberd_megaphone_unacknowledged:cut(Received, Kept) of
                      {ok, Now} ->
                          <<_:Received/binary, Rest/binary>> = iolist_to_binary(Batches),
                          Again = [Batch || {_, Batch} <- ejabberd_megaphone_unacknowledged:batches(Now)],
                          Received >= Acknowledged andalso Rest =:= iolist_to_binary(Again)
                              andalso byte_size(Rest) =:= ejabberd_megaphone_unacknowledged:bytes(Now);
                      error ->
                          Received < Acknowledged
                  end
              end), 1000).

within_a_packet_nothing_can_be_cut_test() ->
    Sent = ejabberd_megaphone_unacknowledged:add(80, [packet(1, 8), packet(1, 8)], ejabberd_megaphone_unacknowledged:new()),
    [?assertEqual(error, ejabberd_megaphone_unacknowledged:cut(Received, Sent)) || Received <- [1, 39, 41, 79, 81]],
    [?assertMatch({ok, _}, ejabberd_megaphone_unacknowledged:cut(Received, Sent)) || Received <- [0, 40, 80]].

no_more_than_the_window_is_unacknowledged_and_nothing_is_cut_in_a_packet_test_() ->
    property:test(
      ?FORALL(Sizes, list(range(1, 262144 - 32)),
              begin
                  Filled = lists:foldl(fun(Size, Window) -> ejabberd_megaphone_window:add(iolist_to_binary(packet(1, Size)), Window) end,
                                       ejabberd_megaphone_window:new(), Sizes),
                  {Sent, Full} = all_next(Filled, []),
                  ejabberd_megaphone_window:unacknowledged(Full) =< ?WINDOW
                      andalso lists:last([0 | ends(Sent, 0)]) =:= byte_size(Sent)
                      andalso byte_size(Sent) + ejabberd_megaphone_window:pending(Full) =:= lists:sum([Size + 32 || Size <- Sizes])
              end), 200).

%% More of them than fit: the rest is sent when there is room.
a_piece_of_output_that_is_longer_than_the_window_is_sent_packet_by_packet_test() ->
    Packets = iolist_to_binary([packet(1, 200000) || _ <- lists:seq(1, 20)]),
    {Sent, Full} = all_next(ejabberd_megaphone_window:add(Packets, ejabberd_megaphone_window:new()), []),
    {More, _} = all_next(ejabberd_megaphone_window:acknowledge(byte_size(Sent), Full), []),
    ?assertEqual(Packets, <<Sent/binary, More/binary>>).

%% Otherwise two ends whose windows are full would wait for each other's acknowledgements.
an_acknowledgement_and_a_pong_have_room_in_a_full_window_test() ->
    Packets = iolist_to_binary([packet(1, 1000) || _ <- lists:seq(1, 3000)]),
    {_, Full} = all_next(ejabberd_megaphone_window:add(Packets, ejabberd_megaphone_window:new()), []),
    Pong = iolist_to_binary(packet(0, 100)),
    {{Bytes, 0, 132, Batch}, _} = ejabberd_megaphone_window:next(
        ejabberd_megaphone_window:set_ack(77, ejabberd_megaphone_window:add_alive(132, Pong, Full))),
    ?assertMatch({match, _}, re:run(Batch, "\"77\"")),
    ?assertEqual(132, Bytes - (iolist_size(Batch) - 132)),
    %% Pongs leave the last of it to acknowledgements.
    AddAlive = fun(_, Window) -> element(2, next(ejabberd_megaphone_window:add_alive(4000, packet(0, 3968), Window))) end,
    Many = lists:foldl(AddAlive, Full, lists:seq(1, 100)),
    ?assert(ejabberd_megaphone_window:unacknowledged(Many) =< ?WINDOW - 4096),
    {Ack, _} = next(ejabberd_megaphone_window:set_ack(99, Many)),
    ?assertMatch({match, _}, re:run(Ack, "\"99\"")).

next(Window) ->
    case ejabberd_megaphone_window:next(Window) of
        {{_, _, _, Batch}, Next} -> {Batch, Next};
        none -> {[], Window}
    end.

all_next(Window, Before) ->
    case ejabberd_megaphone_window:next(Window) of
        {{_, _, _, Batch}, Next} -> all_next(Next, [Before | Batch]);
        none -> {iolist_to_binary(Before), Window}
    end.

packet(Id, Size) -> element(2, ejabberd_megaphone_wire:packets(Id, <<0:(Size * 8)>>, 1 bsl 30)).

%% Where packets end.
ends(<<Length:10/binary, _/binary>> = Packets, At) ->
    Bytes = binary_to_integer(Length),
    <<_:Bytes/binary, Rest/binary>> = Packets,
    [At + Bytes | ends(Rest, At + Bytes)];
ends(<<>>, _At) ->
    [].

pick(Number, Of) -> lists:nth(Number rem length(Of) + 1, Of).
