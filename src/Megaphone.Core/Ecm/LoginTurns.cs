using System.Runtime.InteropServices;

namespace Megaphone.Ecm;

/// <summary>The turns at one server: they go round by address, and within an address in order of arrival.</summary>
/// <remarks>
/// <para>The addresses for which somebody waits, and which may have one more turn, form a ring. The first one gets the next turn and goes to the
/// end, so each step takes the same time, however many wait.</para>
/// <para>Not thread-safe.</para>
/// </remarks>
/// <param name="atOnce">Turns at the same time; no address has more than a tenth of them, but each may have one.</param>
internal sealed unsafe class LoginTurns(int atOnce) : IDisposable
{
    /// <summary>Parts of the table, so that no step has to copy all of it.</summary>
    private const int Shards = 64;

    private readonly int _mostOfAddress = Math.Max(1, atOnce / 10);
    private readonly NativeTable<nint>[] _queues = [.. Enumerable.Range(0, Shards).Select(_ => new NativeTable<nint>())];
    private AddressQueue* _first;

    /// <summary>Clients that wait.</summary>
    public int Waiting { get; private set; }

    /// <summary>Turns that have begun and not ended.</summary>
    public int UnderWay { get; private set; }

    /// <summary>Has a client wait, behind those of its address.</summary>
    public void Enqueue(PacedClient* client, ClientAddress network)
    {
        AddressQueue* queue = FindOrAdd(network);
        client->Queue = queue;
        client->Next = null;
        client->Previous = queue->Last;
        if (queue->Last == null) queue->First = client;
        else queue->Last->Next = client;
        queue->Last = client;
        Waiting++;
        Reconsider(queue);
    }

    /// <summary>Takes a client out of those that wait.</summary>
    public void Withdraw(PacedClient* client)
    {
        AddressQueue* queue = client->Queue;
        Unlink(client);
        client->Queue = null;
        Reconsider(queue);
    }

    /// <summary>Gives a turn to the client whose it is next.</summary>
    /// <returns>Null: nobody may have one now.</returns>
    public PacedClient* TryBegin()
    {
        if (_first == null || UnderWay >= atOnce) return null;
        AddressQueue* queue = _first;
        PacedClient* client = queue->First;
        Unlink(client);
        Count(queue);
        _first = queue->Next;
        Reconsider(queue);
        return client;
    }

    /// <summary>Counts the turn of a client which had it before a reload, whoever waits.</summary>
    public void BeginAgain(PacedClient* client, ClientAddress network)
    {
        client->Queue = FindOrAdd(network);
        Count(client->Queue);
        Reconsider(client->Queue);
    }

    /// <summary>Ends the turn of a client.</summary>
    public void End(PacedClient* client)
    {
        AddressQueue* queue = client->Queue;
        client->Queue = null;
        queue->Turns--;
        UnderWay--;
        Reconsider(queue);
    }

    /// <summary>Frees what is kept of addresses. No client is used any more.</summary>
    public void Dispose()
    {
        foreach (NativeTable<nint> shard in _queues)
        {
            for (int i = 0; i < shard.Size; i++)
            {
                nint* queue = shard.At(i, out _);
                if (queue != null) NativeMemory.Free((void*)*queue);
            }

            shard.Dispose();
        }
    }

    private void Count(AddressQueue* queue)
    {
        queue->Turns++;
        UnderWay++;
    }

    private void Unlink(PacedClient* client)
    {
        AddressQueue* queue = client->Queue;
        if (client->Previous == null) queue->First = client->Next;
        else client->Previous->Next = client->Next;
        if (client->Next == null) queue->Last = client->Previous;
        else client->Next->Previous = client->Previous;
        client->Next = client->Previous = null;
        Waiting--;
    }

    /// <summary>Puts an address at the end of the ring, or takes it out, as it has to be; forgets it when it has nobody.</summary>
    private void Reconsider(AddressQueue* queue)
    {
        bool belongs = queue->First != null && queue->Turns < _mostOfAddress;
        if (belongs && queue->Next == null) Insert(queue);
        else if (!belongs && queue->Next != null) Remove(queue);
        if (queue->First != null || queue->Turns > 0) return;
        uint hash = NativeTable<nint>.HashOf(queue->Address);
        _queues[hash % Shards].Remove(queue->Address, hash);
        NativeMemory.Free(queue);
    }

    private void Insert(AddressQueue* queue)
    {
        if (_first == null)
        {
            _first = queue->Next = queue->Previous = queue;
            return;
        }

        queue->Next = _first;
        queue->Previous = _first->Previous;
        queue->Previous->Next = queue;
        _first->Previous = queue;
    }

    private void Remove(AddressQueue* queue)
    {
        if (_first == queue) _first = queue->Next == queue ? null : queue->Next;
        queue->Previous->Next = queue->Next;
        queue->Next->Previous = queue->Previous;
        queue->Next = queue->Previous = null;
    }

    private AddressQueue* FindOrAdd(ClientAddress network)
    {
        uint hash = NativeTable<nint>.HashOf(network.Value);
        NativeTable<nint> shard = _queues[hash % Shards];
        nint* found = shard.Find(network.Value, hash);
        if (found != null) return (AddressQueue*)*found;
        AddressQueue* queue = (AddressQueue*)NativeMemory.AllocZeroed((nuint)sizeof(AddressQueue));
        queue->Address = network.Value;
        *shard.Add(network.Value, hash) = (nint)queue;
        return queue;
    }
}
