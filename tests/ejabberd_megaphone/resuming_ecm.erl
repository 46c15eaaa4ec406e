%%% An ECM that resumes its link, as section 7 of the link protocol asks for, with what a test needs to see of it. A value; the calling process
%%% owns its socket.
-module(resuming_ecm).

-export([new/2, connect/1, hello/2, send/3, control/2, send_part/1, read/2, ack/1, drop/1, leave/1]).
-export([seen/2, welcome/1, unacknowledged/1, socket/1, with_token/2]).

-import(test_link, [packet/2]).

%% Bytes of its window that only acknowledgements may use.
-define(RESERVE, 8192).
%% `window' of the module's welcome.
-define(PEER_WINDOW, 2097152).

-record(ecm,
        {connect :: fun(() -> gen_tcp:socket()),
         window :: pos_integer(),
         socket = none :: gen_tcp:socket() | none,
         token = none :: binary() | none,
         welcome = #{} :: map(),
         %% Our direction.
         waiting = queue:new() :: queue:queue(binary()),              % packets for which the window has no room
         sent = queue:new() :: queue:queue(binary()),                 % packets that are not acknowledged
         sent_bytes = 0 :: non_neg_integer(),
         acknowledged = 0 :: non_neg_integer(),
         %% The other direction.
         data = <<>> :: binary(),
         received = 0 :: non_neg_integer(),
         told = 0 :: non_neg_integer(),
         seen = #{} :: #{non_neg_integer() => [binary()]}}).          % contents by id, last first

new(Connect, Window) -> #ecm{connect = Connect, window = Window}.

%% Connects, and asks for the link that it had, if any.
connect(#ecm{connect = Connect} = Ecm) ->
    Socket = Connect(),
    test_link:send(Socket, hello(#{}, Ecm)),
    connected(Socket, Ecm).

%% A hello whose member `resume' has these members besides, or instead.
hello(Resume, #ecm{window = Window, token = Token, received = Received}) ->
    Asks = case Token of
               none -> #{};
               _ -> #{token => Token, received => integer_to_binary(Received)}
           end,
    Offer = maps:merge(maps:merge(#{instance => <<"i">>, slot => 0, window => Window}, Asks), Resume),
    packet(0, ejabberd_megaphone_json:encode(#{op => hello, version => 1, name => <<"edge">>, resume => Offer})).

%% The hello has been sent: reads the welcome, and sends again what has to be.
connected(Socket, #ecm{token = Token} = Ecm0) ->
    #{<<"op">> := <<"welcome">>} = Welcome = test_link:control(Socket),
    Ecm = Ecm0#ecm{socket = Socket, welcome = Welcome, data = <<>>},
    case Welcome of
        #{<<"resume">> := #{<<"token">> := Token, <<"received">> := Received}} ->
            Acknowledged = acknowledged(binary_to_integer(Received), Ecm),
            ok = gen_tcp:send(Socket, queue:to_list(Acknowledged#ecm.sent)),
            send_waiting(Acknowledged#ecm{told = Ecm#ecm.received});
        #{<<"resume">> := #{<<"token">> := New} = Resume} ->
            false = maps:is_key(<<"received">>, Resume),
            send_waiting(Ecm#ecm{token = New, sent = queue:new(), sent_bytes = 0, acknowledged = 0, received = 0, told = 0});
        _ ->
            Ecm#ecm{token = none}
    end.

send(Id, Content, #ecm{waiting = Waiting} = Ecm) ->
    send_waiting(Ecm#ecm{waiting = queue:in(iolist_to_binary(packet(Id, Content)), Waiting)}).

control(Json, Ecm) -> send(0, Json, Ecm).

send_waiting(#ecm{socket = none} = Ecm) ->
    Ecm;
send_waiting(#ecm{waiting = Waiting, window = Window} = Ecm) ->
    case queue:out(Waiting) of
        {{value, Packet}, Others} ->
            case unacknowledged(Ecm) + byte_size(Packet) =< Window - ?RESERVE of
                true -> send_waiting(send_now(Packet, Ecm#ecm{waiting = Others}));
                false -> Ecm
            end;
        {empty, _} ->
            Ecm
    end.

%% An end of the connection is noticed when it is read.
send_now(Packet, #ecm{socket = Socket, sent = Sent, sent_bytes = Bytes} = Ecm) ->
    _ = gen_tcp:send(Socket, Packet),
    Ecm#ecm{sent = queue:in(Packet, Sent), sent_bytes = Bytes + byte_size(Packet)}.

%% Sends half of a packet, and nothing more: the connection is dropped in the middle of it.
send_part(#ecm{socket = none} = Ecm) ->
    Ecm;
send_part(#ecm{socket = Socket} = Ecm) ->
    _ = gen_tcp:send(Socket, binary:part(iolist_to_binary(packet(1, <<"never whole">>)), 0, 37)),
    drop(Ecm).

%% Reads what arrives until nothing does for so many ms.
read(_Time, #ecm{socket = none} = Ecm) ->
    Ecm;
read(Time, #ecm{socket = Socket, data = Data} = Ecm) ->
    case gen_tcp:recv(Socket, 0, Time) of
        {ok, More} -> read(Time, parse(Ecm#ecm{data = <<Data/binary, More/binary>>}));
        {error, timeout} -> Ecm;
        {error, _Closed} -> drop(Ecm)
    end.

parse(#ecm{data = <<Length:10/binary, "|", Id:20/binary, "|", Rest/binary>>} = Ecm) ->
    Bytes = binary_to_integer(Length),
    Size = Bytes - 32,
    case Rest of
        <<Content:Size/binary, Others/binary>> ->
            Received = Ecm#ecm.received + Bytes,
            true = Received - Ecm#ecm.told =< ?PEER_WINDOW,
            parse(arrived(binary_to_integer(Id), Content, Ecm#ecm{data = Others, received = Received}));
        _ ->
            Ecm
    end;
parse(Ecm) ->
    Ecm.

arrived(0, Json, Ecm) ->
    case ejabberd_megaphone_json:decode(Json) of
        #{<<"op">> := <<"ack">>, <<"received">> := Bytes} ->
            send_waiting(acknowledged(binary_to_integer(Bytes), Ecm));
        #{<<"op">> := <<"ping">>, <<"token">> := Token} ->
            control(ejabberd_megaphone_json:encode(#{op => pong, token => Token}), Ecm);
        _ ->
            saw(0, Json, Ecm)
    end;
arrived(Id, Content, Ecm) ->
    saw(Id, Content, Ecm).

saw(Id, Content, #ecm{seen = Seen} = Ecm) -> Ecm#ecm{seen = Seen#{Id => [Content | maps:get(Id, Seen, [])]}}.

acknowledged(Bytes, #ecm{acknowledged = Known, sent = Sent} = Ecm) when Bytes > Known ->
    {{value, Packet}, Others} = queue:out(Sent),
    %% A whole packet.
    true = Known + byte_size(Packet) =< Bytes,
    acknowledged(Bytes, Ecm#ecm{acknowledged = Known + byte_size(Packet), sent = Others});
acknowledged(_Bytes, Ecm) ->
    Ecm.

ack(#ecm{socket = none} = Ecm) ->
    Ecm;
ack(#ecm{received = Received} = Ecm) ->
    Packet = iolist_to_binary(packet(0, ejabberd_megaphone_json:encode(#{op => ack, received => integer_to_binary(Received)}))),
    case unacknowledged(Ecm) + byte_size(Packet) =< Ecm#ecm.window of
        true -> (send_now(Packet, Ecm))#ecm{told = Received};
        false -> Ecm
    end.

%% The connection ends with a reset.
drop(#ecm{socket = none} = Ecm) ->
    Ecm;
drop(#ecm{socket = Socket} = Ecm) ->
    _ = inet:setopts(Socket, [{linger, {true, 0}}]),
    gen_tcp:close(Socket),
    Ecm#ecm{socket = none, data = <<>>}.

%% The connection is forgotten, without its end being told: the network is gone.
leave(Ecm) -> Ecm#ecm{socket = none, data = <<>>}.

seen(Id, #ecm{seen = Seen}) -> lists:reverse(maps:get(Id, Seen, [])).
welcome(#ecm{welcome = Welcome}) -> Welcome.
unacknowledged(#ecm{sent_bytes = Bytes, acknowledged = Acknowledged}) -> Bytes - Acknowledged.
socket(#ecm{socket = Socket}) -> Socket.
with_token(Token, Ecm) -> Ecm#ecm{token = Token}.
