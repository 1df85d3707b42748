"""The upload agent in the car: finished captures go to S3, and each acknowledged object is announced on the stream."""
