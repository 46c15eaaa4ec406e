using Microsoft.Extensions.Logging;

namespace Megaphone.Cores;

/// <summary>Every line about the cores that the process runs on.</summary>
internal sealed partial class CoreLog(ILogger<CoreKeeper> logger)
{
    [LoggerMessage(400, LogLevel.Debug, "All threads run on core {Core} from now on; they used {Ran:P0} of one")]
    public partial void Gathered(int core, double ran);

    [LoggerMessage(401, LogLevel.Debug, "The threads run on {Count} cores from now on; on one they ran {Ran:P0} of the time and waited {Waited:P0}")]
    public partial void Spread(int count, double ran, double waited);

    [LoggerMessage(402, LogLevel.Debug, "The threads could not be looked at, or not be moved: {Reason}")]
    public partial void Failed(string reason);

    [LoggerMessage(403, LogLevel.Information, "Service:Cores is \"all\" on this machine: {Reason}")]
    public partial void CannotKeep(string reason);
}
