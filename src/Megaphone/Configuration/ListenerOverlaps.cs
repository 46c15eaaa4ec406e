using System.Net;
using Megaphone.Unix;

namespace Megaphone.Configuration;

/// <summary>Finds listeners that cannot be there together: the kernel would refuse the second one, when everything else has started.</summary>
internal static class ListenerOverlaps
{
    /// <summary>Refuses each listener that overlaps an earlier one.</summary>
    public static void Refuse(SettingsReader reader, Settings settings)
    {
        List<(string Key, EndPoint Address)> earlier = [];
        foreach ((string key, EndPoint address) in All(settings).Where(listener => reader.IsMeant(listener.Key)))
        {
            (string Key, EndPoint Address) other = earlier.Find(one => ListenAddress.Overlap(one.Address, address));
            earlier.Add((key, address));
            if (other.Key is null) continue;

            // A key has one line: if something else is wrong with this one, the other one tells it.
            if (reader.IsRefused(key)) Refuse(other.Key, other.Address, key, address);
            else Refuse(key, address, other.Key, other.Address);
        }

        void Refuse(string key, EndPoint address, string other, EndPoint otherAddress) => reader.Refuse(
            key,
            $"overlaps {other}, which is {otherAddress} (this is {address}): only one of them can be listened on",
            $"{(key == SettingKeys.AdminSocket.Path ? SettingKeys.AdminSocket.Example : FreeFor(settings, address))}, or one of the two alone");
    }

    private static IEnumerable<(string Key, EndPoint Address)> All(Settings settings) =>
    [
        .. settings.Listeners,
        .. settings.Admin?.Socket is { } path && UnixEndPoint.Parse(UnixEndPoint.Prefix + path) is { } socket
            ? [(SettingKeys.AdminSocket.Path, socket)]
            : Array.Empty<(string, EndPoint)>(),
    ];

    /// <summary>The next port on which an address is nobody else's, or another path.</summary>
    private static EndPoint FreeFor(Settings settings, EndPoint listening)
    {
        if (listening is not IPEndPoint address) return UnixEndPoint.Parse("unix:/run/megaphone/others.sock")!;
        IPEndPoint free = new(address.Address, address.Port);
        while (settings.Listeners.Any(listener => ListenAddress.Overlap(listener.Address, free)))
            free.Port = free.Port == IPEndPoint.MaxPort ? 1024 : free.Port + 1;
        return free;
    }
}
