using System.Runtime.InteropServices;

namespace Megaphone.Ecm;

/// <summary>What counting a client needs: whose it is, and since when it is there. 12 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal readonly struct CountedClient(ClientAddress address, bool isLimited, long now)
{
    private readonly ulong _address = address.Value;
    private readonly uint _arrivedAtAndIsLimited = (uint)now << 1 | (isLimited ? 1u : 0);

    /// <summary>To whom it is attributed.</summary>
    public ClientAddress Address => new(_address);

    /// <summary>Whether the limits for addresses concern it.</summary>
    public bool IsLimited => (_arrivedAtAndIsLimited & 1) != 0;

    /// <summary>How long it has been there: less than 24 days.</summary>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    public TimeSpan Age(long now) => TimeSpan.FromMilliseconds(((uint)now << 1 >> 1) - (_arrivedAtAndIsLimited >> 1) & int.MaxValue);
}
