%%% @doc Finds the packets in the bytes of a connection, however they were cut on their way. A value: no processes, no I/O.
-module(ejabberd_megaphone_splitter).

-export([new/1, limit/2, add/2, next/1, offset/1, incomplete_id/1]).
-export_type([splitter/0]).

-define(HEADER, 32).

-record(splitter,
        {max_packet :: pos_integer(),
         data = <<>> :: binary(),                       % not split yet
         chunks = [] :: [binary()],                     % arrived behind `data', last first; not worth parsing yet
         size = 0 :: non_neg_integer(),                 % bytes of data and chunks, once something was found to be incomplete
         need = 0 :: non_neg_integer(),                 % bytes without which nothing can be found
         offset = 0 :: non_neg_integer()}).             % bytes of the connection before `data'

-opaque splitter() :: #splitter{}.

%% @doc A splitter at the beginning of a connection, for packets of at most `MaxPacket' bytes including their headers.
-spec new(MaxPacket :: pos_integer()) -> splitter().
new(MaxPacket) -> #splitter{max_packet = MaxPacket}.

%% @doc Changes how long packets may be, from the next one on.
-spec limit(MaxPacket :: pos_integer(), splitter()) -> splitter().
limit(MaxPacket, Splitter) -> Splitter#splitter{max_packet = MaxPacket}.

%% @doc Adds what has arrived. A long packet is put together once, when all of it is there.
-spec add(Data :: binary(), splitter()) -> splitter().
add(Data, #splitter{data = <<>>, chunks = []} = Splitter) ->
    Splitter#splitter{data = Data, size = byte_size(Data)};
add(Data, #splitter{chunks = Chunks, size = Size} = Splitter) ->
    Splitter#splitter{chunks = [Data | Chunks], size = Size + byte_size(Data)}.

%% @doc Takes out the next packet. `more': it has not arrived completely. `malformed': byte `At' of the connection (from 0) cannot
%% be right, which `Why' explains in a line for the log; nothing more can be found.
-spec next(splitter()) ->
          {packet, ejabberd_megaphone_wire:id(), Content :: binary(), splitter()}
        | {more, splitter()}
        | {malformed, At :: non_neg_integer(), Why :: iolist()}.
next(#splitter{size = Size, need = Need} = Splitter) when Size < Need ->
    {more, Splitter};
next(#splitter{data = Data, chunks = [_ | _] = Chunks} = Splitter) ->
    next(Splitter#splitter{data = iolist_to_binary([Data | lists:reverse(Chunks)]), chunks = []});
next(#splitter{data = <<>>} = Splitter) ->
    {more, Splitter};
next(#splitter{data = Data, max_packet = Max, offset = Offset} = Splitter) ->
    case ejabberd_megaphone_wire:parse(Data, Max) of
        {packet, Id, Content, Rest} ->
            {packet, Id, Content, Splitter#splitter{data = Rest, need = 0, offset = Offset + ?HEADER + byte_size(Content)}};
        {more, Need} ->
            %% A header is checked byte by byte; content need not be looked at before all of it has arrived.
            {more, Splitter#splitter{size = byte_size(Data), need = if Need =< ?HEADER -> 0; true -> Need end}};
        {malformed, At, Fault} ->
            {malformed, Offset + At, ejabberd_megaphone_wire:describe(Fault, At, Offset, {Data, Max})}
    end.

%% @doc How many bytes of the connection were whole packets that next/1 has taken out.
-spec offset(splitter()) -> non_neg_integer().
offset(#splitter{offset = Offset}) -> Offset.

%% @doc The id of the packet that next/1 has found to be incomplete, if its header is complete.
-spec incomplete_id(splitter()) -> ejabberd_megaphone_wire:id() | unknown.
incomplete_id(#splitter{need = 0}) -> unknown;
incomplete_id(#splitter{data = <<_Length:10/binary, $|, Id:20/binary, _/binary>>}) -> binary_to_integer(Id).
