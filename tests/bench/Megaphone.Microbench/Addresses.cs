using Megaphone.Ecm;

namespace Megaphone.Microbench;

/// <summary>A table of a million addresses, each with a connection, that are looked up in an order that no cache can know.</summary>
internal sealed class Addresses : IDisposable
{
    /// <summary>Addresses of one pass.</summary>
    public const int Step = 1 << 14;

    private const int Count = 1_000_000;

    private readonly AddressTable _table = new(new LimitOptions { PerAddress = 10 }, 2 * Count);
    private readonly ClientAddress[] _addresses = new ClientAddress[Count];
    private int _next;

    /// <summary>The memory of the table, in bytes for each address in it.</summary>
    public double BytesEach => (double)_table.Bytes / Count;

    public Addresses()
    {
        Random random = new(1);
        for (int i = 0; i < Count; i++)
        {
            _addresses[i] = new ClientAddress(0xFFFF_0000_0000_0000 | (uint)random.NextInt64());
            _table.Arrive(_addresses[i], isLimited: true, 0);
        }

        random.Shuffle(_addresses);
    }

    /// <summary>What is asked of an address that has connections.</summary>
    public void LookUp()
    {
        ulong sum = 0;
        foreach (ClientAddress address in Next()) sum += (ulong)_table.NotLoggedIn(address);
        Sink.Value = sum;
    }

    /// <summary>One more connection, and its end.</summary>
    public void ComeAndGo()
    {
        foreach (ClientAddress address in Next())
        {
            _table.Arrive(address, isLimited: true, 0);
            _table.Leave(address, isLimited: true, hadLoggedIn: false, 0);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _table.Dispose();

    private ReadOnlySpan<ClientAddress> Next()
    {
        if (_next + Step > Count) _next = 0;
        ReadOnlySpan<ClientAddress> next = _addresses.AsSpan(_next, Step);
        _next += Step;
        return next;
    }
}
