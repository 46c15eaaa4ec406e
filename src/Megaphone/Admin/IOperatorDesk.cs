using System.Net;
using Megaphone.Operator;
using Microsoft.Extensions.Logging;

namespace Megaphone.Admin;

/// <summary>What operators may ask of the service, and order. Thread-safe.</summary>
internal interface IOperatorDesk
{
    /// <summary>Finds clients.</summary>
    /// <param name="within">Their addresses; null: any.</param>
    /// <param name="most">How many are described.</param>
    /// <exception cref="OrderException">It cannot be done.</exception>
    Task<ClientsReport> FindClientsAsync(IPNetwork? within, int most);

    /// <summary>Ends a client.</summary>
    /// <exception cref="OrderException">It cannot be done.</exception>
    Task<Answer> KickAsync(ulong id);

    /// <summary>Ends the clients with addresses in a network.</summary>
    /// <exception cref="OrderException">It cannot be done.</exception>
    Task<Answer> KickAsync(IPNetwork within);

    /// <summary>Begins a drain.</summary>
    /// <param name="over">In which time clients are ended; null: as it is configured.</param>
    /// <param name="server">The one server that is drained; null: the process.</param>
    /// <exception cref="OrderException">It cannot be done.</exception>
    Task<Answer> DrainAsync(TimeSpan? over, string? server);

    /// <summary>Takes back every drain.</summary>
    /// <exception cref="OrderException">It cannot be done.</exception>
    Task<Answer> UndrainAsync();

    /// <summary>Changes the least level that is logged, until the next reload.</summary>
    Answer SetLogLevel(string category, LogLevel level);

    /// <summary>The configuration in force.</summary>
    ConfigurationReport ReadConfiguration();
}
